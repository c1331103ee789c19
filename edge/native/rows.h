/* What is done for each row. Included once for each kind of processor: KIND ends the functions' names, FOR_KIND says
 * for which. Loops are written so that a compiler makes vector code of them.
 */

/* Three planes of a row apart into their mean and what each has beside it, three values to a cell; `more` is added to the
 * mean where it is given. */
FOR_KIND static void NAMED(part_row)(
    float *restrict beside, float *restrict mean, float *restrict red, float *restrict green, float *restrict blue,
    const float *restrict more, Py_ssize_t cells
) {
    for (Py_ssize_t x = 0; x < cells; x++) {
        float middle = (red[x] + green[x] + blue[x]) * (1.0f / 3);
        mean[x] = middle;
        red[x] -= middle;
        green[x] -= middle;
        blue[x] -= middle;
    }
    if (more)
        for (Py_ssize_t x = 0; x < cells; x++) mean[x] += more[x];
    for (Py_ssize_t x = 0; x < cells; x++) {
        beside[3 * x] = red[x];
        beside[3 * x + 1] = green[x];
        beside[3 * x + 2] = blue[x];
    }
}

/* A row of seven values to a cell into seven planes: the first four values and the last four, so the middle one twice. */
FOR_KIND static void NAMED(seven_planes)(float *restrict planes, const float *restrict row, Py_ssize_t cells) {
    enum { LANES = sizeof(NAMED(Lanes)) / sizeof(float) };
    Py_ssize_t x = 0;
    for (; x + LANES <= cells; x += LANES)
        for (int first = 0; first < 4; first += 3) {
            NAMED(Lanes) plane[4];
            NAMED(four_planes)(row + 7 * x + first, plane);
            for (int c = 0; c < 4; c++) *(NAMED(Lanes) *)(planes + (first + c) * cells + x) = plane[c];
        }
    for (; x < cells; x++)
        for (int c = 0; c < 7; c++) planes[c * cells + x] = row[7 * x + c];
}

/* A row of raw answers, seven to a cell, and of the picture's means over the cells to the means over the colours of log
 * gain and shift, and what each colour has beside them; the arithmetic is that of edge.coefficients. `room` is for
 * DECODED values a cell. */
FOR_KIND static void NAMED(decode_row)(
    float *restrict log_gain, float *restrict log_gain_mean, float *restrict shift, float *restrict shift_mean,
    const float *restrict answer, const uint8_t *restrict picture, const Scales *scales, float *restrict room,
    Py_ssize_t cells
) {
    NAMED(seven_planes)(room, answer, cells);
    float *restrict thick = room, *restrict log_planes = room + cells, *restrict shift_planes = room + 4 * cells;
    float *restrict veil = room + 7 * cells, *restrict more = room + 8 * cells, *restrict glow = room + 9 * cells;
    for (Py_ssize_t x = 0; x < cells; x++) {
        for (int c = 0; c < 3; c++)
            glow[c * cells + x] = scales->light[c] - (float)picture[3 * x + c] * (1.0f / 255);
    }
    for (Py_ssize_t x = 0; x < cells; x++) {
        thick[x] = scales->strength * softplus(thick[x] * scales->density_slope + scales->density_offset);
        float hidden = 1 - exponential(-thick[x]);
        veil[x] = scales->shift * hidden;
        more[x] = scales->detail * hidden * hidden;
    }
    for (int c = 0; c < 3; c++) {
        float *restrict log_plane = log_planes + c * cells, *restrict shift_plane = shift_planes + c * cells;
        for (Py_ssize_t x = 0; x < cells; x++) {
            float plain = thick[x] * (1 + within_one(log_plane[x] * scales->tint));
            float gain = exponential(plain < scales->most ? plain : scales->most);
            log_plane[x] = plain;
            shift_plane[x] = veil[x] * within_one(shift_plane[x]) + more[x] * gain * glow[c * cells + x];
        }
    }
    for (Py_ssize_t x = 0; x < cells; x++) more[x] = log_one_plus(more[x]);
    NAMED(part_row)(log_gain, log_gain_mean, log_planes, log_planes + cells, log_planes + 2 * cells, more, cells);
    NAMED(part_row)(shift, shift_mean, shift_planes, shift_planes + cells, shift_planes + 2 * cells, NULL, cells);
}

/* Luma (BT.601) of a row of RGB, rounded to the nearest. */
FOR_KIND static void NAMED(grey_row)(uint8_t *restrict grey, const uint8_t *restrict rgb, Py_ssize_t pixels) {
    Py_ssize_t x = 0;
#if defined(WOVEN)
    enum { LANES = sizeof(NAMED(Lanes)) / sizeof(float) };
    for (; x + LANES <= pixels; x += LANES) NAMED(luma)(rgb + 3 * x, grey + x);
#endif
    for (; x < pixels; x++) {
        const uint8_t *pixel = rgb + 3 * x;
        grey[x] = (uint8_t)((LUMA_RED * pixel[0] + LUMA_GREEN * pixel[1] + LUMA_BLUE * pixel[2] + (1 << 14)) >> 15);
    }
}

/* Of two neighbours in one direction, the second's share of each fine cell, by how like both are to it in brightness and
 * how near, for cells of even and of odd number. `index` is room for a row. */
FOR_KIND static void NAMED(share_row)(
    float *restrict share, const uint8_t *restrict like, const uint8_t *restrict first, const uint8_t *restrict second,
    const Shares *restrict of, int even, int odd, uint8_t *restrict index, Py_ssize_t cells
) {
    Py_ssize_t x = 0;
#if defined(WOVEN)
    enum { LANES = sizeof(NAMED(Lanes)) / sizeof(float) };
    NAMED(Lanes) weight; /* of the first */
    for (int k = 0; k < LANES; k++) weight[k] = (k & 1 ? odd : even) ? 1 - NEARER : NEARER;
    for (; x + LANES <= cells; x += LANES) {
        NAMED(Lanes) one = weight * NAMED(likeness)(like + x, first + x, of->likeness);
        NAMED(Lanes) other = (1 - weight) * NAMED(likeness)(like + x, second + x, of->likeness);
        *(NAMED(Lanes) *)(share + x) = other / (one + other);
    }
#endif
    for (Py_ssize_t i = x; i < cells; i++) {
        uint8_t one = like[i] > first[i] ? like[i] - first[i] : first[i] - like[i];
        uint8_t other = like[i] > second[i] ? like[i] - second[i] : second[i] - like[i];
        one = one < REACH ? one : REACH;
        other = other < REACH ? other : REACH;
        index[i] = (uint8_t)(one * (REACH + 1) + other);
    }
    const float *restrict of_even = of->second[even], *restrict of_odd = of->second[odd];
    for (; x < cells; x += 2) {
        share[x] = of_even[index[x]];
        share[x + 1] = of_odd[index[x + 1]];
    }
}

/* first + share (second - first), for a row. */
FOR_KIND static void NAMED(mix_row)(
    float *restrict mixed, const float *first, const float *second, const float *restrict share, Py_ssize_t cells
) {
    for (Py_ssize_t x = 0; x < cells; x++) mixed[x] = first[x] + share[x] * (second[x] - first[x]);
}

/* Each cell twice, the first and the last four times. */
FOR_KIND static void NAMED(repeat_cells)(float *restrict twice, const float *restrict row, Py_ssize_t cells) {
    for (Py_ssize_t x = 0; x < cells; x++) twice[2 * x + 2] = twice[2 * x + 3] = row[x];
    twice[0] = twice[1] = row[0];
    twice[2 * cells + 2] = twice[2 * cells + 3] = row[cells - 1];
}

/* The mean of both, halves to even. */
FOR_KIND static void NAMED(mean_row)(
    uint8_t *restrict mean, const uint8_t *restrict one, const uint8_t *restrict other, Py_ssize_t n
) {
    for (Py_ssize_t x = 0; x < n; x++) {
        unsigned sum = (unsigned)one[x] + other[x];
        mean[x] = (uint8_t)((sum + ((sum >> 1) & 1)) >> 1);
    }
}

/* A row of both maps, enlarged. What is written past them the next pixel overwrites; all rows have room for one value
 * more. Places count values, three to a cell. */
FOR_KIND static void NAMED(enlarge_rows)(
    float *restrict gain, float *restrict bias, const float *restrict gain_row, const float *restrict bias_row,
    const Place *restrict places, Py_ssize_t width
) {
    for (Py_ssize_t x = 0; x < width; x++) {
        int low = places[x].low, high = places[x].high;
        float share = places[x].share;
        Four gain0 = FOUR(gain_row + low), bias0 = FOUR(bias_row + low);
        *(Four *)(gain + 3 * x) = gain0 + share * (FOUR(gain_row + high) - gain0);
        *(Four *)(bias + 3 * x) = bias0 + share * (FOUR(bias_row + high) - bias0);
    }
}

/* The same for twice as many pixels as there are cells, where each lies a quarter of a cell from the nearer centre: no
 * place is looked up. For some of the cells. */
FOR_KIND static void NAMED(double_cells)(
    float *restrict out, const float *restrict row, Py_ssize_t from, Py_ssize_t to, Py_ssize_t cells
) {
    for (Py_ssize_t x = from; x < to; x++) {
        Four here = FOUR(row + 3 * x), before = FOUR(row + 3 * (x ? x - 1 : x));
        Four after = FOUR(row + 3 * (x + 1 < cells ? x + 1 : x));
        *(Four *)(out + 6 * x) = here + 0.25f * (before - here);
        *(Four *)(out + 6 * x + 3) = here + 0.25f * (after - here);
    }
}

/* For all of them: as many at a time as fill three registers when they are doubled. */
FOR_KIND static void NAMED(double_row)(float *restrict out, const float *restrict row, Py_ssize_t cells) {
    Py_ssize_t x = 0;
#if defined(WOVEN)
    enum { LANES = sizeof(NAMED(Lanes)) / sizeof(float) };
    for (; x + LANES <= cells; x += LANES / 2) { /* what is read past the last of them lies within the row */
        NAMED(Lanes) even[3], odd[3], values[3];
        for (int k = 0; k < 3; k++) {
            const float *at = row + 3 * (x + LANES * k / 6);
            NAMED(Lanes) here = *(const NAMED(Lanes) *)at;
            NAMED(Lanes) before = x || k ? *(const NAMED(Lanes) *)(at - 3) : NAMED(first_twice)(here);
            even[k] = here + 0.25f * (before - here);
            odd[k] = here + 0.25f * (*(const NAMED(Lanes) *)(at + 3) - here);
        }
        NAMED(weave)(even, odd, values);
        for (int k = 0; k < 3; k++) *(NAMED(Lanes) *)(out + 6 * x + LANES * k) = values[k];
    }
#endif
    NAMED(double_cells)(out, row, x, cells, cells);
}

FOR_KIND static void NAMED(double_rows)(
    float *restrict gain, float *restrict bias, const float *restrict gain_row, const float *restrict bias_row,
    Py_ssize_t cells
) {
    NAMED(double_row)(gain, gain_row, cells);
    NAMED(double_row)(bias, bias_row, cells);
}

/* What each colour has beside the mean, between two rows of it, and the mean: one to three values. */
FOR_KIND static void NAMED(join_row)(
    float *restrict row, const float *low, const float *high, float share, const float *restrict mean, Py_ssize_t cells
) {
    Py_ssize_t x = 0;
    enum { LANES = sizeof(NAMED(Lanes)) / sizeof(float) };
    for (; x + LANES <= cells; x += LANES) {
        NAMED(Lanes) added[3];
        NAMED(repeat)(*(const NAMED(Lanes) *)(mean + x), added);
        for (int k = 0; k < 3; k++) {
            Py_ssize_t i = 3 * x + LANES * k;
            NAMED(Lanes) from = *(const NAMED(Lanes) *)(low + i), to = *(const NAMED(Lanes) *)(high + i);
            *(NAMED(Lanes) *)(row + i) = added[k] + from + share * (to - from);
        }
    }
    for (; x < cells; x++) {
        Four from = FOUR(low + 3 * x);
        *(Four *)(row + 3 * x) = mean[x] + from + share * (FOUR(high + 3 * x) - from);
    }
}

/* gain = exp(least of log_gain and most), bias = 255 (light * (1 - gain) + shift), for a row of values. */
FOR_KIND static void NAMED(finish_row)(
    float *restrict gain, float *restrict bias, const float *restrict log_gain, const float *restrict shift,
    const float *restrict light, float most, Py_ssize_t values
) {
    for (Py_ssize_t i = 0; i < values; i++) {
        gain[i] = exponential(log_gain[i] < most ? log_gain[i] : most);
        bias[i] = 255 * (light[i] * (1 - gain[i]) + shift[i]);
    }
}

/* clip(gain * in + bias) for rows of the frame that lie between the same two rows of the grid; shares are of the second.
 * `out` may be `in`: sixteen values are read before they are written. */
FOR_KIND static void NAMED(combine_rows)(
    uint8_t *out, const uint8_t *in, const float *gain0, const float *gain1, const float *bias0, const float *bias1,
    const float *shares, Py_ssize_t rows, Py_ssize_t values
) {
    Py_ssize_t i = 0;
#if defined(SIXTEEN)
    enum { LANES = sizeof(NAMED(Lanes)) / sizeof(float), PARTS = 16 / LANES };
    for (; i + 16 <= values; i += 16) {
        NAMED(Lanes) gain[PARTS], bias[PARTS], gain_step[PARTS], bias_step[PARTS], lanes[PARTS];
        for (int k = 0; k < PARTS; k++) {
            Py_ssize_t j = i + LANES * k;
            gain[k] = *(const NAMED(Lanes) *)(gain0 + j);
            bias[k] = *(const NAMED(Lanes) *)(bias0 + j);
            gain_step[k] = *(const NAMED(Lanes) *)(gain1 + j) - gain[k];
            bias_step[k] = *(const NAMED(Lanes) *)(bias1 + j) - bias[k];
        }
        for (Py_ssize_t y = 0; y < rows; y++) {
            NAMED(widen)(in + y * values + i, lanes);
            for (int k = 0; k < PARTS; k++)
                lanes[k] = (gain[k] + shares[y] * gain_step[k]) * lanes[k] + (bias[k] + shares[y] * bias_step[k]);
            NAMED(narrow)(lanes, out + y * values + i);
        }
    }
#endif
    for (; i < values; i++)
        for (Py_ssize_t y = 0; y < rows; y++) {
            float gain = gain0[i] + shares[y] * (gain1[i] - gain0[i]);
            float value = gain * (float)in[y * values + i] + bias0[i] + shares[y] * (bias1[i] - bias0[i]);
            out[y * values + i] = value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)lrintf(value);
        }
}

/* The weighted sum of rows of a frame. */
FOR_KIND static void NAMED(average_down)(
    float *restrict mean, const uint8_t *restrict frame, const float *restrict weights, Py_ssize_t rows, Py_ssize_t values
) {
    Py_ssize_t i = 0;
#if defined(SIXTEEN)
    enum { LANES = sizeof(NAMED(Lanes)) / sizeof(float), PARTS = 16 / LANES };
    for (; i + 16 <= values; i += 16) {
        NAMED(Lanes) sum[PARTS], lanes[PARTS];
        for (int k = 0; k < PARTS; k++) sum[k] = (NAMED(Lanes)){0};
        for (Py_ssize_t y = 0; y < rows; y++) {
            NAMED(widen)(frame + y * values + i, lanes);
            for (int k = 0; k < PARTS; k++) sum[k] += weights[y] * lanes[k];
        }
        for (int k = 0; k < PARTS; k++) *(NAMED(Lanes) *)(mean + i + LANES * k) = sum[k];
    }
#endif
    for (; i < values; i++) {
        mean[i] = 0;
        for (Py_ssize_t y = 0; y < rows; y++) mean[i] += weights[y] * (float)frame[y * values + i];
    }
}

/* The weighted sums of pixels of a row; `whole` is the weight of pixels that lie whole in a span. What is read and
 * written past the three values of a pixel does not count: all rows have room for one value more. */
FOR_KIND static void NAMED(average_across)(
    float *restrict mean, const float *restrict row, const Span *restrict spans, float whole, Py_ssize_t cells
) {
    for (Py_ssize_t x = 0; x < cells; x++) {
        const float *pixel = row + 3 * spans[x].first, *last = row + 3 * spans[x].last;
        Four sum = spans[x].head * FOUR(pixel) + spans[x].tail * FOUR(last), middle = {0};
        for (pixel += 3; pixel < last; pixel += 3) middle += FOUR(pixel);
        *(Four *)(mean + 3 * x) = sum + whole * middle;
    }
}

/* To the nearest whole number; values lie in [0, 255]. */
FOR_KIND static void NAMED(round_off)(uint8_t *restrict out, const float *restrict row, Py_ssize_t values) {
    for (Py_ssize_t i = 0; i < values; i++) out[i] = (uint8_t)(int)(row[i] + 0.5f);
}

/* |picture - guide|, for a row of values. */
FOR_KIND static void NAMED(differ_row)(
    float *restrict difference, const uint8_t *restrict picture, const float *restrict guide, Py_ssize_t values
) {
    for (Py_ssize_t i = 0; i < values; i++) difference[i] = fabsf((float)picture[i] - guide[i]);
}

/* The largest of a cell's three means over three rows of three cells; `sum` is room for a row and one cell at either end,
 * beyond which the picture goes on as in a mirror that stands on the outermost cells. */
FOR_KIND static void NAMED(change_row)(
    float *restrict change, const float *above, const float *here, const float *below, float *restrict sum,
    Py_ssize_t cells
) {
    for (Py_ssize_t i = 0; i < 3 * cells; i++) sum[3 + i] = above[i] + here[i] + below[i];
    for (int c = 0; c < 3; c++) {
        sum[c] = sum[(cells > 1 ? 6 : 3) + c];
        sum[3 * (cells + 1) + c] = sum[3 * (cells > 1 ? cells - 1 : cells) + c];
    }
    for (Py_ssize_t i = 0; i < 3 * cells; i++) sum[i] += sum[3 + i] + sum[6 + i];
    for (Py_ssize_t x = 0; x < cells; x++) {
        float most = sum[3 * x] > sum[3 * x + 1] ? sum[3 * x] : sum[3 * x + 1];
        change[x] = (most > sum[3 * x + 2] ? most : sum[3 * x + 2]) * (1.0f / 9);
    }
}

/* past exp(-change^2 steepness), for a row of cells. */
FOR_KIND static void NAMED(trust_row)(
    float *restrict trust, const float *restrict change, float past, float steepness, Py_ssize_t cells
) {
    for (Py_ssize_t x = 0; x < cells; x++) trust[x] = past * exponential(-steepness * change[x] * change[x]);
}

/* fresh + trust (kept - fresh), for a row of values. */
FOR_KIND static void NAMED(keep_row)(
    float *restrict kept, const float *restrict fresh, const float *restrict trust, Py_ssize_t values
) {
    for (Py_ssize_t i = 0; i < values; i++) kept[i] = fresh[i] + trust[i] * (kept[i] - fresh[i]);
}
#undef KIND
#undef FOR_KIND
