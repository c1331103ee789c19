/* What edge.apply and edge.coefficients do with calls of an image library, without the round trips through memory.
 *
 * lay_over: clip(gain * frame + bias), gain and bias enlarged bilinearly on the way. A row of the grid is enlarged along
 * the row once, and two such rows serve all rows of the frame between their centres.
 * spread: gain and bias of a fine grid from what all colours share there and what each has beside it on a coarse one.
 *
 * Pixel centres lie at (i + 0.5) / n, and edges are repeated.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sixteen.h"

/* Between which two cells a pixel lies. */
typedef struct {
    int low;     /* the cell before */
    int high;    /* and after; the same at an edge */
    float share; /* of the latter */
} Place;

static Place place_of(Py_ssize_t pixel, Py_ssize_t pixels, Py_ssize_t cells) {
    double at = ((double)pixel + 0.5) * (double)cells / (double)pixels - 0.5;
    Place place;
    if (at < 0) at = 0;
    if (at > (double)(cells - 1)) at = (double)(cells - 1);
    place.low = (int)at;
    place.high = place.low + 1 < cells ? place.low + 1 : place.low;
    place.share = (float)(at - (double)place.low);
    return place;
}

/* Of a row's pixels, counted in values, three to a cell. */
static void fill_places(Place *places, Py_ssize_t pixels, Py_ssize_t cells) {
    for (Py_ssize_t x = 0; x < pixels; x++) {
        places[x] = place_of(x, pixels, cells);
        places[x].low *= 3;
        places[x].high *= 3;
    }
}

#define JOINED(name, kind) name##_##kind
#define JOIN(name, kind) JOINED(name, kind)
#define NAMED(name) JOIN(name, KIND)

#define KIND any
#define FOR_KIND
#include "rows.h"
#if defined(__x86_64__)
#define KIND fma
#define FOR_KIND __attribute__((target("avx2,fma")))
#include "rows.h"
#endif

typedef struct {
    void (*enlarge)(
        float *, float *, const float *, const float *, const float *, const float *, const Place *, Py_ssize_t
    );
    void (*finish)(float *, float *, const float *, const float *, const float *, float, Py_ssize_t);
    void (*combine)(
        uint8_t *, const uint8_t *, const float *, const float *, const float *, const float *, float, Py_ssize_t
    );
} Rows;

/* Those that suit this processor best. */
static Rows fastest(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (Rows){enlarge_rows_fma, finish_row_fma, combine_row_fma};
#endif
    return (Rows){enlarge_rows_any, finish_row_any, combine_row_any};
}

/* The two rows of the grid that were enlarged last. */
typedef struct {
    float *gain, *bias;
    Py_ssize_t number; /* -1 for none */
} Enlarged;

static int whole(const Py_buffer *view, int dimensions, const char *format, Py_ssize_t item) {
    return view->ndim == dimensions && (dimensions == 2 || view->shape[2] == 3) && view->itemsize == item && view->format != NULL &&
           strcmp(view->format, format) == 0 && view->shape[0] > 0 && view->shape[1] > 0;
}

static int same_size(const Py_buffer *a, const Py_buffer *b) {
    return a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1];
}

/* 0, or -1 where there is no memory. */
static int lay(const Py_buffer *frame, const Py_buffer *gain, const Py_buffer *bias, const Py_buffer *out) {
    Py_ssize_t height = frame->shape[0], width = frame->shape[1], rows = gain->shape[0], cells = gain->shape[1];
    Py_ssize_t values = 3 * width, given = 3 * cells;
    size_t wide = (size_t)values + 1, narrow = (size_t)given + 1;
    Place *places = malloc((size_t)width * sizeof(Place));
    float *room = calloc(4 * wide + 2 * narrow, sizeof(float));
    if (places == NULL || room == NULL) {
        free(places);
        free(room);
        return -1;
    }
    float *gain_row = room + 4 * wide, *bias_row = gain_row + narrow;
    Enlarged kept[2] = {{room, room + wide, -1}, {room + 2 * wide, room + 3 * wide, -1}};
    Rows of = fastest();
    fill_places(places, width, cells);
    for (Py_ssize_t y = 0; y < height; y++) {
        Place place = place_of(y, height, rows);
        for (Py_ssize_t number = place.low; number <= place.high; number++) {
            Enlarged *slot = &kept[number & 1];
            if (slot->number == number) continue;
            memcpy(gain_row, (const float *)gain->buf + number * given, (size_t)given * sizeof(float));
            const float *from = (const float *)bias->buf + number * given;
            for (Py_ssize_t i = 0; i < given; i++) bias_row[i] = 255 * from[i];
            of.enlarge(slot->gain, slot->bias, gain_row, bias_row, NULL, NULL, places, width);
            slot->number = number;
        }
        const Enlarged *low = &kept[place.low & 1], *high = &kept[place.high & 1];
        of.combine(
            (uint8_t *)out->buf + y * values, (const uint8_t *)frame->buf + y * values, low->gain, high->gain,
            low->bias, high->bias, place.share, values
        );
    }
    free(places);
    free(room);
    return 0;
}

/* 0, or -1 where there is no memory. Views: log_gain, its mean, shift, its mean, gain, bias. */
static int spread_over(const Py_buffer views[6], const float light[3], float most) {
    Py_ssize_t rows = views[0].shape[0], cells = views[0].shape[1];
    Py_ssize_t height = views[4].shape[0], width = views[4].shape[1], given = 3 * cells;
    Py_ssize_t values = 3 * width;
    size_t wide = (size_t)values + 1, narrow = (size_t)given + 1;
    Place *places = malloc((size_t)width * sizeof(Place));
    float *room = calloc(3 * wide + 2 * narrow, sizeof(float));
    if (places == NULL || room == NULL) {
        free(places);
        free(room);
        return -1;
    }
    float *log_gain = room, *shift = room + wide, *lights = room + 2 * wide;
    float *between[2] = {room + 3 * wide, room + 3 * wide + narrow};
    Rows of = fastest();
    fill_places(places, width, cells);
    for (Py_ssize_t i = 0; i < values; i++) lights[i] = light[i % 3];
    for (Py_ssize_t y = 0; y < height; y++) {
        Place place = place_of(y, height, rows);
        for (int map = 0; map < 2; map++) {
            const float *from = views[2 * map].buf, *low = from + place.low * given, *high = from + place.high * given;
            float *restrict row = between[map];
            for (Py_ssize_t i = 0; i < given; i++) row[i] = low[i] + place.share * (high[i] - low[i]);
        }
        of.enlarge(
            log_gain, shift, between[0], between[1], (const float *)views[1].buf + y * width,
            (const float *)views[3].buf + y * width, places, width
        );
        of.finish(
            (float *)views[4].buf + y * values, (float *)views[5].buf + y * values, log_gain, shift, lights, most, values
        );
    }
    free(places);
    free(room);
    return 0;
}

/* How many of the objects' buffers were taken; fewer than asked for where one has none that fits. */
static int take(PyObject *objects[], Py_buffer views[], int count, int writable_from) {
    int taken = 0;
    for (; taken < count; taken++) {
        int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (taken >= writable_from ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(objects[taken], &views[taken], flags) < 0) break;
    }
    return taken;
}

static PyObject *spread(PyObject *self, PyObject *args) {
    PyObject *objects[6], *result = NULL;
    Py_buffer views[6];
    float light[3], most;
    int taken, failed;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "OOOO(fff)fOO:spread", &objects[0], &objects[1], &objects[2], &objects[3], &light[0], &light[1],
            &light[2], &most, &objects[4], &objects[5]
        ))
        return NULL;
    taken = take(objects, views, 6, 4);
    if (taken < 6) goto release;
    if (!whole(&views[0], 3, "f", 4) || !whole(&views[2], 3, "f", 4) || !same_size(&views[0], &views[2]) ||
        !whole(&views[1], 2, "f", 4) || !whole(&views[3], 2, "f", 4) || !whole(&views[4], 3, "f", 4) ||
        !whole(&views[5], 3, "f", 4) || !same_size(&views[1], &views[3]) || !same_size(&views[1], &views[4]) ||
        !same_size(&views[1], &views[5])) {
        PyErr_SetString(
            PyExc_ValueError,
            "log_gain and shift are float32 (h, w, 3), their means (H, W), gain and bias (H, W, 3), each whole in memory"
        );
        goto release;
    }
    Py_BEGIN_ALLOW_THREADS
    failed = spread_over(views, light, most);
    Py_END_ALLOW_THREADS
    if (failed)
        PyErr_NoMemory();
    else
        result = Py_NewRef(Py_None);
release:
    while (taken-- > 0) PyBuffer_Release(&views[taken]);
    return result;
}

static PyObject *lay_over(PyObject *self, PyObject *args) {
    PyObject *objects[4], *result = NULL;
    Py_buffer views[4];
    int taken, failed;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOO:lay_over", &objects[0], &objects[1], &objects[2], &objects[3])) return NULL;
    taken = take(objects, views, 4, 3);
    if (taken < 4) goto release;
    if (!whole(&views[0], 3, "B", 1) || !whole(&views[3], 3, "B", 1) || !same_size(&views[0], &views[3]) ||
        !whole(&views[1], 3, "f", 4) || !whole(&views[2], 3, "f", 4) || !same_size(&views[1], &views[2])) {
        PyErr_SetString(
            PyExc_ValueError,
            "frame and out are uint8 (H, W, 3), gain and bias float32 (h, w, 3), each whole in memory"
        );
        goto release;
    }
    Py_BEGIN_ALLOW_THREADS
    failed = lay(&views[0], &views[1], &views[2], &views[3]);
    Py_END_ALLOW_THREADS
    if (failed)
        PyErr_NoMemory();
    else
        result = Py_NewRef(Py_None);
release:
    while (taken-- > 0) PyBuffer_Release(&views[taken]);
    return result;
}

static PyMethodDef methods[] = {
    {"lay_over", lay_over, METH_VARARGS, "lay_over(frame, gain, bias, out): clip(gain * frame + bias) to out."},
    {"spread", spread, METH_VARARGS, "spread(log_gain, its mean, shift, its mean, light, most, gain, bias)."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "edge.native.loops", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit_loops(void) { return PyModule_Create(&module); }
