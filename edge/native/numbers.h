/* Functions of one number, within a few units in the last place of float32, without calls: loops over them become
 * vector code.
 */
#include <stdint.h>
#include <string.h>

#define EACH static inline __attribute__((always_inline)) float

/* exp(x) = 2^n exp(x - n ln 2), the rest by the polynomial of Cephes' expf (Moshier 1992); for x up to 88, and what is
 * below -80 counts as -80. */
EACH exponential(float x) {
    const float rounder = 12582912.0f; /* 1.5 * 2^23: adding and taking it away leaves the nearest integer */
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
    return (p * f * f + f + 1) * power;
}

/* log(1 + e) = 2 artanh(s) with s = e / (2 + e): for e up to 1, s up to 1/3, six terms of its series leave 2e-7; for e up
 * to 2 they leave 1e-5. */
EACH log_one_plus(float e) {
    float s = e / (2 + e), q = s * s;
    float series = ((((q * (1.0f / 11) + 1.0f / 9) * q + 1.0f / 7) * q + 1.0f / 5) * q + 1.0f / 3) * q + 1;
    return 2 * s * series;
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). */
EACH softplus(float x) {
    return (x > 0 ? x : 0) + log_one_plus(exponential(x < 0 ? x : -x));
}

EACH within_one(float x) {
    x = x < 1 ? x : 1;
    return x > -1 ? x : -1;
}
