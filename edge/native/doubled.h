/* Planes of the coarse grid on one of twice the size, along the edges of the picture: the arithmetic of edge.upsampling.
 *
 * Rows of the coarse grid are doubled along the row one after another, and between each two of them lie two rows of the
 * fine grid: no more than two are kept.
 */
enum { MOST_PLANES = 4 };

/* One row of the coarse grid, doubled along the row, and what guides it. */
typedef struct {
    float *planes[MOST_PLANES];
    uint8_t *wide;    /* brightness of the picture, mean of the two fine rows */
    uint8_t *fine[2]; /* and of either */
} Doubled;

typedef struct {
    Py_ssize_t rows, cells; /* of the coarse grid */
    int count;
    const float *planes[MOST_PLANES];
    float *out[MOST_PLANES];
    const uint8_t *coarse, *fine; /* the picture, RGB, on both grids */
    Shares shares;
} Doubling;

/* Each cell twice, the first and the last four times. */
static void repeat_greys(uint8_t *restrict twice, const uint8_t *restrict row, Py_ssize_t cells) {
    for (Py_ssize_t x = 0; x < cells; x++) twice[2 * x + 2] = twice[2 * x + 3] = row[x];
    twice[0] = twice[1] = row[0];
    twice[2 * cells + 2] = twice[2 * cells + 3] = row[cells - 1];
}

/* 0, or -1 where there is no memory. */
static int double_planes(const Doubling *of) {
    Py_ssize_t wide = 2 * of->cells, twice = wide + 4;
    float *floats = zeroes((size_t)(2 * of->count * wide + wide + twice)), *free_floats = floats;
    uint8_t *bytes = malloc((size_t)(6 * wide + of->cells + twice + wide)), *free_bytes = bytes;
    if (floats == NULL || bytes == NULL) {
        free(floats);
        free(bytes);
        return -1;
    }
    Doubled kept[2];
    for (int slot = 0; slot < 2; slot++) {
        for (int p = 0; p < of->count; p++, free_floats += wide) kept[slot].planes[p] = free_floats;
        uint8_t **rows[3] = {&kept[slot].wide, &kept[slot].fine[0], &kept[slot].fine[1]};
        for (int i = 0; i < 3; i++, free_bytes += wide) *rows[i] = free_bytes;
    }
    float *share = free_floats, *repeated = share + wide;
    uint8_t *grey = free_bytes, *greys = grey + of->cells, *index = greys + twice;
    Rows loops = fastest();
    for (Py_ssize_t y = 0; y <= of->rows; y++) {
        Doubled *above = &kept[(y ? y - 1 : 0) & 1], *below = &kept[(y < of->rows ? y : y - 1) & 1];
        if (y < of->rows) {
            for (int i = 0; i < 2; i++) loops.grey(below->fine[i], of->fine + (2 * y + i) * 3 * wide, wide);
            loops.mean(below->wide, below->fine[0], below->fine[1], wide);
            loops.grey(grey, of->coarse + y * 3 * of->cells, of->cells);
            repeat_greys(greys, grey, of->cells);
            loops.share(share, below->wide, greys + 1, greys + 3, &of->shares, 1, 0, index, wide);
            for (int p = 0; p < of->count; p++) {
                loops.repeat(repeated, of->planes[p] + y * of->cells, of->cells);
                loops.mix(below->planes[p], repeated + 1, repeated + 3, share, wide);
            }
        }
        for (int nearer = 0; nearer < 2; nearer++) { /* to which of both the fine row lies */
            if (nearer ? y == of->rows : y == 0) continue;
            const uint8_t *like = nearer ? below->fine[0] : above->fine[1];
            loops.share(share, like, above->wide, below->wide, &of->shares, nearer, nearer, index, wide);
            for (int p = 0; p < of->count; p++)
                loops.mix(of->out[p] + (2 * y - 1 + nearer) * wide, above->planes[p], below->planes[p], share, wide);
        }
    }
    free(floats);
    free(bytes);
    return 0;
}
