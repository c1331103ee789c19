/* Sixteen bytes to floats and back, as many at a time as each kind of processor has registers for; rounded to the
 * nearest, halves to even, and clipped to [0, 255].
 */
#include <stdint.h>

typedef float Four __attribute__((vector_size(16), aligned(4)));
#define FOUR(address) (*(const Four *)(address))
typedef int32_t PlacesOfFour __attribute__((vector_size(16)));
typedef Four Lanes_any;

/* Numbers taken from two vectors, by their places in the first and, counted on, the second. */
#if defined(__clang__)
#define PICK(first, second, Places, ...) __builtin_shufflevector(first, second, __VA_ARGS__)
#else
#define PICK(first, second, Places, ...) __builtin_shuffle(first, second, (Places){__VA_ARGS__})
#endif

#if defined(__SSE2__)
#define SIXTEEN
#include <emmintrin.h>

static inline void widen_any(const uint8_t *from, Four to[4]) {
    __m128i zero = _mm_setzero_si128(), bytes = _mm_loadu_si128((const __m128i *)from);
    __m128i low = _mm_unpacklo_epi8(bytes, zero), high = _mm_unpackhi_epi8(bytes, zero);
    to[0] = (Four)_mm_cvtepi32_ps(_mm_unpacklo_epi16(low, zero));
    to[1] = (Four)_mm_cvtepi32_ps(_mm_unpackhi_epi16(low, zero));
    to[2] = (Four)_mm_cvtepi32_ps(_mm_unpacklo_epi16(high, zero));
    to[3] = (Four)_mm_cvtepi32_ps(_mm_unpackhi_epi16(high, zero));
}

static inline void narrow_any(const Four from[4], uint8_t *to) {
    __m128i low = _mm_packs_epi32(_mm_cvtps_epi32((__m128)from[0]), _mm_cvtps_epi32((__m128)from[1]));
    __m128i high = _mm_packs_epi32(_mm_cvtps_epi32((__m128)from[2]), _mm_cvtps_epi32((__m128)from[3]));
    _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(low, high));
}

#if defined(__x86_64__)
#include <immintrin.h>

typedef float Lanes_fma __attribute__((vector_size(32), aligned(4)));
typedef int32_t Places_fma __attribute__((vector_size(32)));

__attribute__((target("avx2,fma"))) static inline void widen_fma(const uint8_t *from, Lanes_fma to[2]) {
    for (int k = 0; k < 2; k++)
        to[k] = (Lanes_fma)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(from + 8 * k))));
}

__attribute__((target("avx2,fma"))) static inline void narrow_fma(const Lanes_fma from[2], uint8_t *to) {
    __m256i low = _mm256_cvtps_epi32((__m256)from[0]), high = _mm256_cvtps_epi32((__m256)from[1]);
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8); /* packed half by half */
    _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

/* Of a row in which pixels of three values come from `even` and `odd` in turn, the first eight values, the next, and the
 * third: then all begins anew. */
__attribute__((target("avx2,fma"))) static inline void weave_fma(
    const Lanes_fma even[3], const Lanes_fma odd[3], Lanes_fma row[3]
) {
    row[0] = PICK(even[0], odd[0], Places_fma, 0, 1, 2, 8, 9, 10, 3, 4);
    row[1] = PICK(even[1], odd[1], Places_fma, 2, 8, 9, 10, 3, 4, 5, 11);
    row[2] = PICK(even[2], odd[2], Places_fma, 9, 10, 3, 4, 5, 11, 12, 13);
}

/* Of a row in which each number stands three times, the same. */
__attribute__((target("avx2,fma"))) static inline void repeat_fma(const Lanes_fma from[3], Lanes_fma row[3]) {
    row[0] = PICK(from[0], from[0], Places_fma, 0, 0, 0, 1, 1, 1, 2, 2);
    row[1] = PICK(from[1], from[1], Places_fma, 0, 1, 1, 1, 2, 2, 2, 3);
    row[2] = PICK(from[2], from[2], Places_fma, 0, 0, 1, 1, 1, 2, 2, 2);
}

#define AVX512 "avx512f,avx512bw,avx512vl,avx512dq"
#if defined(__clang__) /* has no such word in a target, and takes 512 bits where vectors are as wide */
#define WIDE __attribute__((target(AVX512)))
#else
#define WIDE __attribute__((target(AVX512 ",prefer-vector-width=512")))
#endif
typedef float Lanes_wide __attribute__((vector_size(64), aligned(4)));
typedef int32_t Places_wide __attribute__((vector_size(64)));

WIDE static inline void widen_wide(const uint8_t *from, Lanes_wide to[1]) {
    to[0] = (Lanes_wide)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from)));
}

WIDE static inline void narrow_wide(const Lanes_wide from[1], uint8_t *to) {
    __m512i whole = _mm512_max_epi32(_mm512_cvtps_epi32((__m512)from[0]), _mm512_setzero_si512());
    _mm_storeu_si128((__m128i *)to, _mm512_cvtusepi32_epi8(whole));
}

WIDE static inline void weave_wide(const Lanes_wide even[3], const Lanes_wide odd[3], Lanes_wide row[3]) {
    row[0] = PICK(even[0], odd[0], Places_wide, 0, 1, 2, 16, 17, 18, 3, 4, 5, 19, 20, 21, 6, 7, 8, 22);
    row[1] = PICK(even[1], odd[1], Places_wide, 17, 18, 3, 4, 5, 19, 20, 21, 6, 7, 8, 22, 23, 24, 9, 10);
    row[2] = PICK(even[2], odd[2], Places_wide, 2, 16, 17, 18, 3, 4, 5, 19, 20, 21, 6, 7, 8, 22, 23, 24);
}

WIDE static inline void repeat_wide(const Lanes_wide from[3], Lanes_wide row[3]) {
    row[0] = PICK(from[0], from[0], Places_wide, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5);
    row[1] = PICK(from[1], from[1], Places_wide, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5);
    row[2] = PICK(from[2], from[2], Places_wide, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5);
}
#endif

#elif defined(__aarch64__)
#define SIXTEEN
#include <arm_neon.h>

static inline void widen_any(const uint8_t *from, Four to[4]) {
    uint8x16_t bytes = vld1q_u8(from);
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
    to[0] = (Four)vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
    to[1] = (Four)vcvtq_f32_u32(vmovl_u16(vget_high_u16(low)));
    to[2] = (Four)vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
    to[3] = (Four)vcvtq_f32_u32(vmovl_u16(vget_high_u16(high)));
}

static inline void narrow_any(const Four from[4], uint8_t *to) {
    int16x4_t q[4];
    for (int k = 0; k < 4; k++) q[k] = vqmovn_s32(vcvtnq_s32_f32((float32x4_t)from[k]));
    vst1q_u8(to, vcombine_u8(vqmovun_s16(vcombine_s16(q[0], q[1])), vqmovun_s16(vcombine_s16(q[2], q[3]))));
}
#endif
