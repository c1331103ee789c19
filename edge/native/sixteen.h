/* Sixteen bytes to four times four floats and back; rounded to the nearest, halves to even, and clipped to [0, 255]. */
#include <stdint.h>

/* Four floats at a time are what every processor has registers for. */
typedef float Four __attribute__((vector_size(16), aligned(4)));
#define FOUR(address) (*(const Four *)(address))

#if defined(__SSE2__)
#define SIXTEEN
#include <emmintrin.h>

static inline void widen(const uint8_t *from, Four to[4]) {
    __m128i zero = _mm_setzero_si128(), bytes = _mm_loadu_si128((const __m128i *)from);
    __m128i low = _mm_unpacklo_epi8(bytes, zero), high = _mm_unpackhi_epi8(bytes, zero);
    to[0] = (Four)_mm_cvtepi32_ps(_mm_unpacklo_epi16(low, zero));
    to[1] = (Four)_mm_cvtepi32_ps(_mm_unpackhi_epi16(low, zero));
    to[2] = (Four)_mm_cvtepi32_ps(_mm_unpacklo_epi16(high, zero));
    to[3] = (Four)_mm_cvtepi32_ps(_mm_unpackhi_epi16(high, zero));
}

static inline void narrow(const Four from[4], uint8_t *to) {
    __m128i low = _mm_packs_epi32(_mm_cvtps_epi32((__m128)from[0]), _mm_cvtps_epi32((__m128)from[1]));
    __m128i high = _mm_packs_epi32(_mm_cvtps_epi32((__m128)from[2]), _mm_cvtps_epi32((__m128)from[3]));
    _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(low, high));
}

#elif defined(__aarch64__)
#define SIXTEEN
#include <arm_neon.h>

static inline void widen(const uint8_t *from, Four to[4]) {
    uint8x16_t bytes = vld1q_u8(from);
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
    to[0] = (Four)vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
    to[1] = (Four)vcvtq_f32_u32(vmovl_u16(vget_high_u16(low)));
    to[2] = (Four)vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
    to[3] = (Four)vcvtq_f32_u32(vmovl_u16(vget_high_u16(high)));
}

static inline void narrow(const Four from[4], uint8_t *to) {
    int16x4_t q[4];
    for (int k = 0; k < 4; k++) q[k] = vqmovn_s32(vcvtnq_s32_f32((float32x4_t)from[k]));
    vst1q_u8(to, vcombine_u8(vqmovun_s16(vcombine_s16(q[0], q[1])), vqmovun_s16(vcombine_s16(q[2], q[3]))));
}
#endif
