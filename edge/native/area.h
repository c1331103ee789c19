/* A frame in fewer pixels, each the mean of the area that it covers: a row of the result at a time, first down the rows
 * of the frame that it covers, then along them.
 */

/* Weights of a span add up to 1. `cells` is at most `pixels`. */
static Span span_of(Py_ssize_t cell, Py_ssize_t pixels, Py_ssize_t cells) {
    /* In units of 1 / cells of a pixel everything is whole. */
    Py_ssize_t start = cell * pixels, end = start + pixels;
    Span span = {.first = start / cells, .last = (end - 1) / cells};
    Py_ssize_t next = (span.first + 1) * cells;
    span.head = (float)((double)((next < end ? next : end) - start) / (double)pixels);
    span.tail = span.last > span.first ? (float)((double)(end - span.last * cells) / (double)pixels) : 0;
    return span;
}

/* 0, or -1 where there is no memory. */
static int average_frame(const Py_buffer *frame, const Py_buffer *out) {
    Py_ssize_t height = frame->shape[0], width = frame->shape[1], rows = out->shape[0], cells = out->shape[1];
    Py_ssize_t values = 3 * width, most = height / rows + 2;
    Span *spans = malloc((size_t)cells * sizeof(Span));
    float *room = zeroes((size_t)(values + 1 + 3 * cells + 1 + most));
    if (spans == NULL || room == NULL) {
        free(spans);
        free(room);
        return -1;
    }
    float *down = room, *across = down + values + 1, *weights = across + 3 * cells + 1;
    for (Py_ssize_t x = 0; x < cells; x++) spans[x] = span_of(x, width, cells);
    Rows loops = fastest();
    for (Py_ssize_t y = 0; y < rows; y++) {
        Span span = span_of(y, height, rows);
        Py_ssize_t count = span.last - span.first + 1;
        for (Py_ssize_t i = 0; i < count; i++) weights[i] = (float)((double)rows / (double)height);
        weights[count - 1] = span.tail;
        weights[0] = span.head;
        loops.average_down(down, (const uint8_t *)frame->buf + span.first * values, weights, count, values);
        loops.average_across(across, down, spans, (float)((double)cells / (double)width), cells);
        loops.round_off((uint8_t *)out->buf + y * 3 * cells, across, 3 * cells);
    }
    free(spans);
    free(room);
    return 0;
}
