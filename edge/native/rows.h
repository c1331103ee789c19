/* What is done for each row. Included once for each kind of processor: KIND ends the functions' names, FOR_KIND says
 * for which.
 */

/* A row of both maps at the frame's width. What is written past a pixel's three values the next pixel overwrites; all
 * rows have room for one value more. Places count values here, three to a cell. */
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

/* clip(gain * in + bias), gain and bias between two rows of the grid; `share` of the second. `out` may be `in`: sixteen
 * values are read before they are written. */
FOR_KIND static void NAMED(combine_row)(
    uint8_t *out, const uint8_t *in, const float *gain0, const float *gain1, const float *bias0, const float *bias1,
    float share, Py_ssize_t values
) {
    Py_ssize_t i = 0;
#if defined(SIXTEEN)
    for (; i + 16 <= values; i += 16) {
        Four four[4];
        widen(in + i, four);
        for (int k = 0; k < 4; k++) {
            Py_ssize_t j = i + 4 * k;
            Four g0 = FOUR(gain0 + j), g1 = FOUR(gain1 + j), b0 = FOUR(bias0 + j), b1 = FOUR(bias1 + j);
            four[k] = (g0 + share * (g1 - g0)) * four[k] + (b0 + share * (b1 - b0));
        }
        narrow(four, out + i);
    }
#endif
    for (; i < values; i++) {
        float gain = gain0[i] + share * (gain1[i] - gain0[i]);
        float value = gain * (float)in[i] + bias0[i] + share * (bias1[i] - bias0[i]);
        out[i] = value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)lrintf(value);
    }
}
#undef KIND
#undef FOR_KIND
