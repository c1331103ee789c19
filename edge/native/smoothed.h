/* What edge.smoothing does with a grid model's answer over time. */

/* How much each cell's surroundings differ from what they were: the largest of the colours' means over 3x3 cells, in grey
 * levels. How many cells are beyond the limit is counted. 0, or -1 where there is no memory. */
static int change_of(
    const uint8_t *picture, const float *guide, float *change, Py_ssize_t rows, Py_ssize_t cells, float limit,
    Py_ssize_t *beyond, double *total
) {
    Py_ssize_t values = 3 * cells;
    float *room = malloc((size_t)(4 * values + 6) * sizeof(float)); /* three rows, and one with a cell at either end */
    if (room == NULL) return -1;
    Rows loops = fastest();
    float *kept[3] = {room, room + values, room + 2 * values}, *sum = room + 3 * values;
    loops.differ(kept[0], picture, guide, values);
    *beyond = 0;
    *total = 0;
    for (Py_ssize_t y = 0; y < rows; y++) {
        const float *here = kept[y % 3], *before = kept[(y + 2) % 3], *after = kept[(y + 1) % 3];
        if (y + 1 < rows) loops.differ(kept[(y + 1) % 3], picture + (y + 1) * values, guide + (y + 1) * values, values);
        if (y == 0) before = rows > 1 ? after : here;
        if (y + 1 == rows) after = before;
        float *row = change + y * cells;
        loops.change(row, before, here, after, sum, cells);
        for (Py_ssize_t x = 0; x < cells; x++) {
            *beyond += row[x] > limit;
            *total += row[x];
        }
    }
    free(room);
    return 0;
}

/* Each cell's value, `count` times. */
static void spread_row(float *restrict wide, const float *restrict row, int count, Py_ssize_t cells) {
    for (Py_ssize_t x = 0; x < cells; x++)
        for (int i = 0; i < count; i++) wide[count * x + i] = row[x];
}

/* What is kept of the past, cell by cell: all of `past` where nothing changed, less where something did. The guide goes
 * the same way. 0, or -1 where there is no memory. */
static int keep_past(
    const uint8_t *picture, const float *answer, const float *change, float past, float steepness, float *guide,
    float *kept, Py_ssize_t rows, Py_ssize_t cells
) {
    float *trust = malloc((size_t)(11 * cells) * sizeof(float));
    if (trust == NULL) return -1;
    float *wide = trust + cells, *seen = wide + 7 * cells;
    Rows loops = fastest();
    for (Py_ssize_t y = 0; y < rows; y++) {
        Py_ssize_t first = y * cells;
        loops.trust(trust, change + first, past, steepness, cells);
        spread_row(wide, trust, 7, cells);
        loops.keep(kept + 7 * first, answer + 7 * first, wide, 7 * cells);
        for (Py_ssize_t i = 0; i < 3 * cells; i++) seen[i] = picture[3 * first + i];
        spread_row(wide, trust, 3, cells);
        loops.keep(guide + 3 * first, seen, wide, 3 * cells);
    }
    free(trust);
    return 0;
}
