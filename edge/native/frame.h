/* From a decoded answer to the clear frame, in one pass over the frame.
 *
 * What each colour has beside the mean is enlarged along each row of the coarse grid, and two such rows serve all rows of
 * the fine grid between their centres. Each of these is made when it is needed: the mean is added, and gain and bias are
 * computed. It is enlarged along the row in its turn, and two such rows serve all rows of the frame between their
 * centres. Pixel centres lie at (i + 0.5) / n, and edges are repeated.
 */

enum { MOST_ROWS = 8 }; /* of the frame, worked on at a time */

/* A row of a grid that was enlarged along the row; the last two of them are kept. */
typedef struct {
    float *gain, *bias; /* or what each colour has of log gain and shift beside the mean */
    Py_ssize_t number;  /* -1 for none */
} Enlarged;

/* What the fine grid is made of, and room for one row of it. */
typedef struct {
    const float *log_gain, *log_gain_mean, *shift, *shift_mean;
    Py_ssize_t coarse_rows, coarse_cells, rows, cells;
    float most;
    Place *places;          /* of the fine cells among the coarse ones */
    Enlarged kept[2];       /* of the coarse grid */
    float *last[2];         /* its last row of either map */
    float *light;           /* for each value of a row */
    float *joined[2];       /* log gain and shift */
    float *gain, *bias;     /* the row, for values in [0, 255] */
} Grid;

/* Where each pixel of a row lies among the cells; not needed where these are doubled. */
static void find_places(Place *places, Py_ssize_t pixels, Py_ssize_t cells) {
    if (pixels != 2 * cells) fill_places(places, pixels, cells);
}

/* Two rows, of `cells` cells, enlarged to `pixels`. */
static void enlarge(
    const Rows *of, Enlarged *row, Py_ssize_t number, const float *gain, const float *bias, const Place *places,
    Py_ssize_t pixels, Py_ssize_t cells
) {
    if (pixels == 2 * cells)
        of->twice(row->gain, row->bias, gain, bias, cells);
    else
        of->enlarge(row->gain, row->bias, gain, bias, places, pixels);
    row->number = number;
}

/* A row of a map of the coarse grid, with room for one value more: where four are read for the three of a cell. */
static const float *coarse_row(const Grid *grid, const float *map, float *last, Py_ssize_t number) {
    Py_ssize_t values = 3 * grid->coarse_cells;
    const float *row = map + number * values;
    return number + 1 < grid->coarse_rows ? row : memcpy(last, row, (size_t)values * sizeof(float));
}

static void make_row(Grid *grid, const Rows *of, Py_ssize_t y) {
    Place place = place_of(y, grid->rows, grid->coarse_rows);
    for (Py_ssize_t number = place.low; number <= place.high; number++) {
        Enlarged *slot = &grid->kept[number & 1];
        if (slot->number == number) continue;
        const float *log_gain = coarse_row(grid, grid->log_gain, grid->last[0], number);
        const float *shift = coarse_row(grid, grid->shift, grid->last[1], number);
        enlarge(of, slot, number, log_gain, shift, grid->places, grid->cells, grid->coarse_cells);
    }
    const Enlarged *low = &grid->kept[place.low & 1], *high = &grid->kept[place.high & 1];
    Py_ssize_t cells = grid->cells;
    of->join(grid->joined[0], low->gain, high->gain, place.share, grid->log_gain_mean + y * cells, cells);
    of->join(grid->joined[1], low->bias, high->bias, place.share, grid->shift_mean + y * cells, cells);
    of->finish(grid->gain, grid->bias, grid->joined[0], grid->joined[1], grid->light, grid->most, 3 * cells);
}

/* 0, or -1 where there is no memory. */
static int clear_frame(Grid *grid, const float light[3], const Py_buffer *frame, const Py_buffer *out) {
    Py_ssize_t height = frame->shape[0], width = frame->shape[1], values = 3 * width;
    size_t wide = whole_lines((size_t)values + 1), fine = whole_lines(3 * (size_t)grid->cells + 1);
    size_t coarse = whole_lines(3 * (size_t)grid->coarse_cells + 1);
    Place *places = malloc(((size_t)width + (size_t)grid->cells) * sizeof(Place));
    float *room = zeroes(4 * wide + 9 * fine + 2 * coarse), *free_room = room;
    if (places == NULL || room == NULL) {
        free(places);
        free(room);
        return -1;
    }
    Enlarged kept[2] = {{room, room + wide, -1}, {room + 2 * wide, room + 3 * wide, -1}};
    free_room += 4 * wide;
    float **rows[9] = {
        &grid->light,        &grid->joined[0],    &grid->joined[1],    &grid->gain,         &grid->bias,
        &grid->kept[0].gain, &grid->kept[0].bias, &grid->kept[1].gain, &grid->kept[1].bias,
    };
    for (int i = 0; i < 9; i++, free_room += fine) *rows[i] = free_room;
    for (int i = 0; i < 2; i++, free_room += coarse) grid->last[i] = free_room;
    grid->kept[0].number = grid->kept[1].number = -1;
    for (Py_ssize_t i = 0; i < 3 * grid->cells; i++) grid->light[i] = light[i % 3];
    grid->places = places + width;
    find_places(places, width, grid->cells);
    find_places(grid->places, grid->cells, grid->coarse_cells);
    Rows of = fastest();
    for (Py_ssize_t y = 0; y < height;) {
        Place place = place_of(y, height, grid->rows);
        for (Py_ssize_t number = place.low; number <= place.high; number++) {
            Enlarged *slot = &kept[number & 1];
            if (slot->number == number) continue;
            make_row(grid, &of, number);
            enlarge(&of, slot, number, grid->gain, grid->bias, places, width, grid->cells);
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
