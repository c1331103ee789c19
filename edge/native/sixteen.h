/* Sixteen bytes to floats and back, as many at a time as each kind of processor has registers for; rounded to the
 * nearest, halves to even, and clipped to [0, 255].
 */
#include <stdint.h>

enum { LUMA_RED = 9798, LUMA_GREEN = 19235, LUMA_BLUE = 3735 }; /* of 2^15; BT.601 */

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

/* Of four cells of seven values the first four: squares that change rows for columns. */
static inline void four_planes_any(const float *row, Four plane[4]) {
    Four cell[4], pair[4];
    for (int k = 0; k < 4; k++) cell[k] = FOUR(row + 7 * k);
    for (int k = 0; k < 2; k++) {
        pair[k] = PICK(cell[2 * k], cell[2 * k + 1], PlacesOfFour, 0, 4, 1, 5);
        pair[2 + k] = PICK(cell[2 * k], cell[2 * k + 1], PlacesOfFour, 2, 6, 3, 7);
    }
    for (int k = 0; k < 2; k++) {
        plane[2 * k] = PICK(pair[2 * k], pair[2 * k + 1], PlacesOfFour, 0, 1, 4, 5);
        plane[2 * k + 1] = PICK(pair[2 * k], pair[2 * k + 1], PlacesOfFour, 2, 3, 6, 7);
    }
}

/* Each number three times. */
static inline void repeat_any(Four from, Four row[3]) {
    row[0] = PICK(from, from, PlacesOfFour, 0, 0, 0, 1);
    row[1] = PICK(from, from, PlacesOfFour, 1, 1, 2, 2);
    row[2] = PICK(from, from, PlacesOfFour, 2, 3, 3, 3);
}

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

/* Red and green of four pixels, then blue, as words; where the first pixel lies among sixteen bytes. */
#define RED_GREEN(at)                                                                                                  \
    _mm_setr_epi8(at, -1, at + 1, -1, at + 3, -1, at + 4, -1, at + 6, -1, at + 7, -1, at + 9, -1, at + 10, -1)
#define BLUE(at) _mm_setr_epi8(at + 2, -1, -1, -1, at + 5, -1, -1, -1, at + 8, -1, -1, -1, at + 11, -1, -1, -1)

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

__attribute__((target("avx2,fma"))) static inline void repeat_fma(Lanes_fma from, Lanes_fma row[3]) {
    row[0] = PICK(from, from, Places_fma, 0, 0, 0, 1, 1, 1, 2, 2);
    row[1] = PICK(from, from, Places_fma, 2, 3, 3, 3, 4, 4, 4, 5);
    row[2] = PICK(from, from, Places_fma, 5, 5, 6, 6, 6, 7, 7, 7);
}

/* Of eight cells of seven values the first four: a row of the result for each. */
__attribute__((target("avx2,fma"))) static inline void four_planes_fma(const float *row, Lanes_fma plane[4]) {
    __m256 cell[4], pair[4];
    for (int k = 0; k < 4; k++)
        cell[k] = _mm256_insertf128_ps(
            _mm256_castps128_ps256(_mm_loadu_ps(row + 7 * k)), _mm_loadu_ps(row + 7 * (k + 4)), 1
        );
    for (int k = 0; k < 2; k++) {
        pair[k] = _mm256_unpacklo_ps(cell[2 * k], cell[2 * k + 1]);
        pair[2 + k] = _mm256_unpackhi_ps(cell[2 * k], cell[2 * k + 1]);
    }
    for (int k = 0; k < 2; k++) {
        plane[2 * k] = (Lanes_fma)_mm256_shuffle_ps(pair[2 * k], pair[2 * k + 1], 0x44);
        plane[2 * k + 1] = (Lanes_fma)_mm256_shuffle_ps(pair[2 * k], pair[2 * k + 1], 0xee);
    }
}

/* What lies before each pixel of three values; before the first lies the first. */
__attribute__((target("avx2,fma"))) static inline Lanes_fma first_twice_fma(Lanes_fma row) {
    return PICK(row, row, Places_fma, 0, 1, 2, 0, 1, 2, 3, 4);
}

/* How like two neighbours' brightness is a cell's, for eight cells: looked up by how far each is from it. */
__attribute__((target("avx2,fma"))) static inline Lanes_fma likeness_fma(
    const uint8_t *cell, const uint8_t *neighbour, const float *table
) {
    __m128i one = _mm_loadl_epi64((const __m128i *)cell), other = _mm_loadl_epi64((const __m128i *)neighbour);
    __m128i apart = _mm_or_si128(_mm_subs_epu8(one, other), _mm_subs_epu8(other, one));
    __m256i place = _mm256_cvtepu8_epi32(_mm_min_epu8(apart, _mm_set1_epi8(15)));
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), place);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), place);
    return (Lanes_fma)_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(place, 28)));
}

/* Luma of eight pixels. */
__attribute__((target("avx2,fma"))) static inline void luma_fma(const uint8_t *rgb, uint8_t *grey) {
    __m128i low = _mm_loadu_si128((const __m128i *)rgb), high = _mm_loadu_si128((const __m128i *)(rgb + 8));
    __m256i two = _mm256_set_m128i(_mm_shuffle_epi8(high, RED_GREEN(4)), _mm_shuffle_epi8(low, RED_GREEN(0)));
    __m256i one = _mm256_set_m128i(_mm_shuffle_epi8(high, BLUE(4)), _mm_shuffle_epi8(low, BLUE(0)));
    __m256i sum = _mm256_add_epi32(
        _mm256_madd_epi16(two, _mm256_set1_epi32(LUMA_GREEN << 16 | LUMA_RED)),
        _mm256_madd_epi16(one, _mm256_set1_epi32(LUMA_BLUE))
    );
    sum = _mm256_srli_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 14)), 15);
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    _mm_storel_epi64((__m128i *)grey, _mm_packus_epi16(words, words));
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

WIDE static inline void repeat_wide(Lanes_wide from, Lanes_wide row[3]) {
    row[0] = PICK(from, from, Places_wide, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5);
    row[1] = PICK(from, from, Places_wide, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10);
    row[2] = PICK(from, from, Places_wide, 10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15);
}

WIDE static inline void four_planes_wide(const float *row, Lanes_wide plane[4]) {
    __m512 cell[4], pair[4];
    for (int k = 0; k < 4; k++) {
        cell[k] = _mm512_castps128_ps512(_mm_loadu_ps(row + 7 * k));
        cell[k] = _mm512_insertf32x4(cell[k], _mm_loadu_ps(row + 7 * (k + 4)), 1);
        cell[k] = _mm512_insertf32x4(cell[k], _mm_loadu_ps(row + 7 * (k + 8)), 2);
        cell[k] = _mm512_insertf32x4(cell[k], _mm_loadu_ps(row + 7 * (k + 12)), 3);
    }
    for (int k = 0; k < 2; k++) {
        pair[k] = _mm512_unpacklo_ps(cell[2 * k], cell[2 * k + 1]);
        pair[2 + k] = _mm512_unpackhi_ps(cell[2 * k], cell[2 * k + 1]);
    }
    for (int k = 0; k < 2; k++) {
        plane[2 * k] = (Lanes_wide)_mm512_shuffle_ps(pair[2 * k], pair[2 * k + 1], 0x44);
        plane[2 * k + 1] = (Lanes_wide)_mm512_shuffle_ps(pair[2 * k], pair[2 * k + 1], 0xee);
    }
}

WIDE static inline Lanes_wide likeness_wide(const uint8_t *cell, const uint8_t *neighbour, const float *table) {
    __m128i one = _mm_loadu_si128((const __m128i *)cell), other = _mm_loadu_si128((const __m128i *)neighbour);
    __m128i apart = _mm_or_si128(_mm_subs_epu8(one, other), _mm_subs_epu8(other, one));
    __m512i place = _mm512_cvtepu8_epi32(_mm_min_epu8(apart, _mm_set1_epi8(15)));
    return (Lanes_wide)_mm512_permutexvar_ps(place, _mm512_loadu_ps(table));
}

WIDE static inline void luma_wide(const uint8_t *rgb, uint8_t *grey) {
    const __m512i places = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    __m512i pixels = _mm512_permutexvar_epi32(places, _mm512_maskz_loadu_epi32(0x0fff, rgb));
    __m512i two = _mm512_shuffle_epi8(pixels, _mm512_broadcast_i32x4(RED_GREEN(0)));
    __m512i one = _mm512_shuffle_epi8(pixels, _mm512_broadcast_i32x4(BLUE(0)));
    __m512i sum = _mm512_add_epi32(
        _mm512_madd_epi16(two, _mm512_set1_epi32(LUMA_GREEN << 16 | LUMA_RED)),
        _mm512_madd_epi16(one, _mm512_set1_epi32(LUMA_BLUE))
    );
    sum = _mm512_srli_epi32(_mm512_add_epi32(sum, _mm512_set1_epi32(1 << 14)), 15);
    _mm_storeu_si128((__m128i *)grey, _mm512_cvtepi32_epi8(sum));
}

WIDE static inline Lanes_wide first_twice_wide(Lanes_wide row) {
    return PICK(row, row, Places_wide, 0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
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
