/* From a decoded answer to the clear frame, in one pass over the frame.
 *
 * Each row of the fine grid is made when it is needed: what each colour has beside the mean is enlarged, the mean added,
 * and gain and bias computed; then it is enlarged along the row, and two such rows serve all rows of the frame between
 * their centres. Pixel centres lie at (i + 0.5) / n, and edges are repeated.
 */

enum { MOST_ROWS = 8 }; /* of the frame, worked on at a time */

/* The two rows of the grid that were enlarged last. */
typedef struct {
    float *gain, *bias;
    Py_ssize_t number; /* -1 for none */
} Enlarged;

/* What the fine grid is made of, and room for one row of it. */
typedef struct {
    const float *log_gain, *log_gain_mean, *shift, *shift_mean;
    Py_ssize_t coarse_rows, coarse_cells, rows, cells;
    float most;
    Place *places;                      /* of the fine cells among the coarse ones */
    float *light;                       /* for each value of a row */
    float *between[2], *fine[2];        /* log_gain and shift, coarse and fine */
    float *gain, *bias;                 /* the row, for values in [0, 255] */
} Grid;

/* Rows of `cells` cells enlarged to `pixels`, with something added where that is given. */
static void enlarge(
    const Rows *of, float *gain, float *bias, const float *gain_row, const float *bias_row, const float *gain_more,
    const float *bias_more, const Place *places, Py_ssize_t pixels, Py_ssize_t cells
) {
    if (pixels == 2 * cells)
        of->twice(gain, bias, gain_row, bias_row, gain_more, bias_more, cells);
    else
        of->enlarge(gain, bias, gain_row, bias_row, gain_more, bias_more, places, pixels);
}

static void make_row(const Grid *grid, const Rows *of, Py_ssize_t y) {
    Place place = place_of(y, grid->rows, grid->coarse_rows);
    Py_ssize_t given = 3 * grid->coarse_cells, values = 3 * grid->cells;
    const float *maps[2] = {grid->log_gain, grid->shift};
    for (int map = 0; map < 2; map++) {
        const float *low = maps[map] + place.low * given, *high = maps[map] + place.high * given;
        of->between(grid->between[map], low, high, place.share, given);
    }
    enlarge(
        of, grid->fine[0], grid->fine[1], grid->between[0], grid->between[1], grid->log_gain_mean + y * grid->cells,
        grid->shift_mean + y * grid->cells, grid->places, grid->cells, grid->coarse_cells
    );
    of->finish(grid->gain, grid->bias, grid->fine[0], grid->fine[1], grid->light, grid->most, values);
}

/* 0, or -1 where there is no memory. */
static int clear_frame(Grid *grid, const float light[3], const Py_buffer *frame, const Py_buffer *out) {
    Py_ssize_t height = frame->shape[0], width = frame->shape[1], values = 3 * width;
    size_t wide = (size_t)values + 1, fine = 3 * (size_t)grid->cells + 1, coarse = 3 * (size_t)grid->coarse_cells + 1;
    Place *places = malloc(((size_t)width + (size_t)grid->cells) * sizeof(Place));
    float *room = calloc(4 * wide + 5 * fine + 2 * coarse, sizeof(float)), *free_room = room;
    if (places == NULL || room == NULL) {
        free(places);
        free(room);
        return -1;
    }
    Enlarged kept[2] = {{room, room + wide, -1}, {room + 2 * wide, room + 3 * wide, -1}};
    free_room += 4 * wide;
    float **rows[5] = {&grid->light, &grid->fine[0], &grid->fine[1], &grid->gain, &grid->bias};
    for (int i = 0; i < 5; i++, free_room += fine) *rows[i] = free_room;
    for (int i = 0; i < 2; i++, free_room += coarse) grid->between[i] = free_room;
    for (Py_ssize_t i = 0; i < 3 * grid->cells; i++) grid->light[i] = light[i % 3];
    grid->places = places + width;
    fill_places(places, width, grid->cells);
    fill_places(grid->places, grid->cells, grid->coarse_cells);
    Rows of = fastest();
    for (Py_ssize_t y = 0; y < height;) {
        Place place = place_of(y, height, grid->rows);
        for (Py_ssize_t number = place.low; number <= place.high; number++) {
            Enlarged *slot = &kept[number & 1];
            if (slot->number == number) continue;
            make_row(grid, &of, number);
            enlarge(&of, slot->gain, slot->bias, grid->gain, grid->bias, NULL, NULL, places, width, grid->cells);
            slot->number = number;
        }
        const Enlarged *low = &kept[place.low & 1], *high = &kept[place.high & 1];
        float shares[MOST_ROWS];
        Py_ssize_t rows = 0;
        for (Place next = place; rows < MOST_ROWS && y + rows < height && next.low == place.low;) {
            shares[rows++] = next.share;
            next = place_of(y + rows, height, grid->rows);
        }
        of.combine(
            (uint8_t *)out->buf + y * values, (const uint8_t *)frame->buf + y * values, low->gain, high->gain,
            low->bias, high->bias, shares, rows, values
        );
        y += rows;
    }
    free(places);
    free(room);
    return 0;
}
