/* What is done for each row. Included once for each kind of processor: KIND ends the functions' names, FOR_KIND says
 * for which.
 */

/* A row of both maps, enlarged, with something added to all three values of a pixel where that is given. What is written
 * past them the next pixel overwrites; all rows have room for one value more. Places count values, three to a cell. */
FOR_KIND static void NAMED(enlarge_rows)(
    float *restrict gain, float *restrict bias, const float *restrict gain_row, const float *restrict bias_row,
    const float *restrict gain_more, const float *restrict bias_more, const Place *restrict places, Py_ssize_t width
) {
    for (Py_ssize_t x = 0; x < width; x++) {
        int low = places[x].low, high = places[x].high;
        float share = places[x].share;
        Four gain0 = FOUR(gain_row + low), bias0 = FOUR(bias_row + low);
        gain0 += share * (FOUR(gain_row + high) - gain0);
        bias0 += share * (FOUR(bias_row + high) - bias0);
        *(Four *)(gain + 3 * x) = gain_more ? gain0 + gain_more[x] : gain0;
        *(Four *)(bias + 3 * x) = bias_more ? bias0 + bias_more[x] : bias0;
    }
}

/* gain = exp(least of log_gain and most), bias = 255 (light * (1 - gain) + shift), for a row of values.
 *
 * exp(x) = 2^n exp(x - n ln 2), the rest by the polynomial of Cephes' expf (Moshier 1992): within two units in the last
 * place. Written so that a compiler makes vector code of it. */
FOR_KIND static void NAMED(finish_row)(
    float *restrict gain, float *restrict bias, const float *restrict log_gain, const float *restrict shift,
    const float *restrict light, float most, Py_ssize_t values
) {
    const float rounder = 12582912.0f; /* 1.5 * 2^23: adding and taking it away leaves the nearest integer */
    for (Py_ssize_t i = 0; i < values; i++) {
        float x = log_gain[i] < most ? log_gain[i] : most;
        x = x > -80.0f ? x : -80.0f;
        float n = (x * 1.44269504f + rounder) - rounder;
        float f = x - n * 0.693359375f + n * 2.12194440e-4f;
        float p = f * 1.9875691500e-4f + 1.3981999507e-3f;
        p = p * f + 8.3334519073e-3f;
        p = p * f + 4.1665795894e-2f;
        p = p * f + 1.6666665459e-1f;
        p = p * f + 5.0000001201e-1f;
        int32_t bits = ((int32_t)n + 127) * (1 << 23);
        float power;
        memcpy(&power, &bits, sizeof power);
        gain[i] = (p * f * f + f + 1) * power;
        bias[i] = 255 * (light[i] * (1 - gain[i]) + shift[i]);
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
