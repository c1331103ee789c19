/* Loops over frames and grids for Python: what edge.coefficients, edge.upsampling, edge.apply and edge.smoothing do with calls of an
 * image library, without the round trips through memory. What each function takes stands in edge/native/__init__.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kinds.h"

#include "area.h"
#include "doubled.h"
#include "frame.h"
#include "smoothed.h"

/* What is wanted of one array. */
typedef struct {
    const char *format;      /* "B" for uint8, "f" for float32 */
    int channels;            /* 0 for none */
    int writable;
    Py_ssize_t rows, cells;  /* 0 for any number */
} Wanted;

/* Takes the array's memory; the size found is written into what was wanted. 0, or -1 with an error set. */
static int take(PyObject *array, Py_buffer *view, Wanted *wanted, const char *name) {
    if (PyObject_GetBuffer(array, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (wanted->writable ? PyBUF_WRITABLE : 0)) < 0)
        return -1;
    if (view->ndim == (wanted->channels ? 3 : 2) && (!wanted->channels || view->shape[2] == wanted->channels) &&
        view->format != NULL && strcmp(view->format, wanted->format) == 0 && view->shape[0] > 0 && view->shape[1] > 0 &&
        (!wanted->rows || (view->shape[0] == wanted->rows && view->shape[1] == wanted->cells))) {
        wanted->rows = view->shape[0];
        wanted->cells = view->shape[1];
        return 0;
    }
    PyErr_Format(
        PyExc_ValueError, "%s has to be %s (%s, %s%s), whole in memory, and of the size that the others ask for", name,
        strcmp(wanted->format, "B") == 0 ? "uint8" : "float32", "rows", "columns",
        wanted->channels == 7 ? ", 7" : wanted->channels ? ", 3" : ""
    );
    PyBuffer_Release(view);
    return -1;
}

static PyObject *done(int failed, Py_buffer *views, int taken) {
    while (taken-- > 0) PyBuffer_Release(&views[taken]);
    if (failed) return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *average(PyObject *self, PyObject *args) {
    PyObject *objects[2];
    Py_buffer views[2];
    int taken = 0, failed = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "OO:average", &objects[0], &objects[1])) return NULL;
    for (; taken < 2 && !failed; taken += !failed) {
        Wanted wanted = {"B", 3, taken == 1, 0, 0};
        failed = take(objects[taken], &views[taken], &wanted, taken ? "out" : "frame");
    }
    if (failed) return done(failed, views, taken);
    if (views[1].shape[0] > views[0].shape[0] || views[1].shape[1] > views[0].shape[1]) {
        PyErr_SetString(PyExc_ValueError, "out has more pixels than frame along one side: there is nothing to average");
        return done(-1, views, taken);
    }
    Py_BEGIN_ALLOW_THREADS
    failed = average_frame(&views[0], &views[1]);
    Py_END_ALLOW_THREADS
    return done(failed, views, taken);
}

static PyObject *decode(PyObject *self, PyObject *args) {
    static const char *names[6] = {"cell", "picture", "log_gain", "log_gain_mean", "shift", "shift_mean"};
    PyObject *objects[6];
    Py_buffer views[6];
    Scales of;
    int taken = 0, failed = 0;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "OO(fffff)(ffff)fOOOO:decode", &objects[0], &objects[1], &of.density_slope, &of.density_offset,
            &of.tint, &of.shift, &of.detail, &of.most, &of.light[0], &of.light[1], &of.light[2], &of.strength,
            &objects[2], &objects[3], &objects[4], &objects[5]
        ))
        return NULL;
    Wanted wanted = {"f", 7, 0, 0, 0};
    for (; taken < 6 && !failed; taken += !failed) {
        wanted.format = taken == 1 ? "B" : "f";
        wanted.channels = taken == 0 ? 7 : taken == 3 || taken == 5 ? 0 : 3;
        wanted.writable = taken > 1;
        failed = take(objects[taken], &views[taken], &wanted, names[taken]);
    }
    if (failed) return done(failed, views, taken);
    Py_BEGIN_ALLOW_THREADS
    Py_ssize_t cells = wanted.cells;
    float *room = zeroes((size_t)cells * DECODED);
    failed = room == NULL;
    Rows loops = fastest();
    const float *cell = views[0].buf;
    const uint8_t *picture = views[1].buf;
    float *out[4];
    for (int i = 0; i < 4; i++) out[i] = views[2 + i].buf;
    for (Py_ssize_t y = 0; y < wanted.rows && !failed; y++)
        loops.decode(
            out[0] + 3 * y * cells, out[1] + y * cells, out[2] + 3 * y * cells, out[3] + y * cells,
            cell + 7 * y * cells, picture + 3 * y * cells, &of, room, cells
        );
    free(room);
    Py_END_ALLOW_THREADS
    return done(failed, views, taken);
}

static PyObject *twice(PyObject *self, PyObject *args) {
    PyObject *planes, *out, *objects[3];
    Py_buffer views[3 + 2 * MOST_PLANES];
    int taken = 0, failed = 0;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "O!OOOO!:twice", &PyTuple_Type, &planes, &objects[0], &objects[1], &objects[2], &PyTuple_Type, &out
        ))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(planes);
    if (count < 1 || count > MOST_PLANES || PyTuple_GET_SIZE(out) != count) {
        PyErr_Format(PyExc_ValueError, "1 to %d planes are doubled, to as many others", MOST_PLANES);
        return NULL;
    }
    Wanted coarse = {"B", 3, 0, 0, 0}, likeness = {"f", 0, 0, 1, REACH + 1};
    failed = take(objects[0], &views[0], &coarse, "coarse");
    taken += !failed;
    Wanted fine = {"B", 3, 0, 2 * coarse.rows, 2 * coarse.cells};
    if (!failed) failed = take(objects[1], &views[1], &fine, "fine");
    taken += !failed;
    if (!failed) failed = take(objects[2], &views[2], &likeness, "likeness");
    taken += !failed;
    Doubling doubling = {.rows = coarse.rows, .cells = coarse.cells, .count = (int)count};
    for (Py_ssize_t i = 0; i < 2 * count && !failed; i++) {
        int doubled = i >= count;
        Wanted plane = {"f", 0, doubled, coarse.rows << doubled, coarse.cells << doubled};
        PyObject *array = doubled ? PyTuple_GET_ITEM(out, i - count) : PyTuple_GET_ITEM(planes, i);
        failed = take(array, &views[taken], &plane, doubled ? "out" : "planes");
        if (failed) break;
        if (doubled)
            doubling.out[i - count] = views[taken].buf;
        else
            doubling.planes[i] = views[taken].buf;
        taken++;
    }
    if (failed) return done(failed, views, taken);
    doubling.coarse = views[0].buf;
    doubling.fine = views[1].buf;
    fill_shares(&doubling.shares, views[2].buf);
    Py_BEGIN_ALLOW_THREADS
    failed = double_planes(&doubling);
    Py_END_ALLOW_THREADS
    return done(failed, views, taken);
}

static PyObject *clear(PyObject *self, PyObject *args) {
    static const char *names[6] = {"frame", "out", "log_gain", "shift", "log_gain_mean", "shift_mean"};
    PyObject *objects[6];
    Py_buffer views[6];
    float light[3], most;
    int taken = 0, failed = 0;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "OOOOO(fff)fO:clear", &objects[0], &objects[2], &objects[4], &objects[3], &objects[5], &light[0],
            &light[1], &light[2], &most, &objects[1]
        ))
        return NULL;
    Wanted wanted[3] = {{"B", 3, 0, 0, 0}, {"f", 3, 0, 0, 0}, {"f", 0, 0, 0, 0}}; /* in pairs of one size */
    for (; taken < 6 && !failed; taken += !failed) {
        wanted[0].writable = taken == 1;
        failed = take(objects[taken], &views[taken], &wanted[taken / 2], names[taken]);
    }
    if (failed) return done(failed, views, taken);
    Grid grid = {
        .log_gain = views[2].buf, .shift = views[3].buf, .coarse_rows = wanted[1].rows, .coarse_cells = wanted[1].cells,
        .log_gain_mean = views[4].buf, .shift_mean = views[5].buf, .rows = wanted[2].rows, .cells = wanted[2].cells,
        .most = most,
    };
    Py_BEGIN_ALLOW_THREADS
    failed = clear_frame(&grid, light, &views[0], &views[1]);
    Py_END_ALLOW_THREADS
    return done(failed, views, taken);
}

static PyObject *change(PyObject *self, PyObject *args) {
    static const char *names[3] = {"picture", "guide", "change"};
    static const int channels[3] = {3, 3, 0};
    PyObject *objects[3];
    Py_buffer views[3];
    Wanted wanted = {"B", 3, 0, 0, 0};
    float limit;
    Py_ssize_t beyond = 0;
    double total = 0;
    int taken = 0, failed = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOfO:change", &objects[0], &objects[1], &limit, &objects[2])) return NULL;
    for (; taken < 3 && !failed; taken += !failed) {
        wanted.format = taken ? "f" : "B";
        wanted.channels = channels[taken];
        wanted.writable = taken == 2;
        failed = take(objects[taken], &views[taken], &wanted, names[taken]);
    }
    if (failed) return done(failed, views, taken);
    Py_BEGIN_ALLOW_THREADS
    failed = change_of(views[0].buf, views[1].buf, views[2].buf, wanted.rows, wanted.cells, limit, &beyond, &total);
    Py_END_ALLOW_THREADS
    PyObject *nothing = done(failed, views, taken);
    Py_XDECREF(nothing);
    double cells = (double)(wanted.rows * wanted.cells);
    return nothing == NULL ? NULL : Py_BuildValue("(dd)", (double)beyond / cells, total / cells);
}

static PyObject *keep(PyObject *self, PyObject *args) {
    static const char *names[5] = {"picture", "answer", "change", "guide", "kept"};
    static const int channels[5] = {3, 7, 0, 3, 7};
    PyObject *objects[5];
    Py_buffer views[5];
    Wanted wanted = {"B", 3, 0, 0, 0};
    float past, steepness;
    int taken = 0, failed = 0;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "OOOffOO:keep", &objects[0], &objects[1], &objects[2], &past, &steepness, &objects[3], &objects[4]
        ))
        return NULL;
    for (; taken < 5 && !failed; taken += !failed) {
        wanted.format = taken ? "f" : "B";
        wanted.channels = channels[taken];
        wanted.writable = taken > 2;
        failed = take(objects[taken], &views[taken], &wanted, names[taken]);
    }
    if (failed) return done(failed, views, taken);
    Py_BEGIN_ALLOW_THREADS
    failed = keep_past(
        views[0].buf, views[1].buf, views[2].buf, past, steepness, views[3].buf, views[4].buf, wanted.rows, wanted.cells
    );
    Py_END_ALLOW_THREADS
    return done(failed, views, taken);
}

static PyMethodDef methods[] = {
    {"average", average, METH_VARARGS, "average(frame, out)"},
    {"decode", decode, METH_VARARGS, "decode(cell, picture, scales, limits, strength, log_gain, ...)"},
    {"twice", twice, METH_VARARGS, "twice(planes, coarse, fine, likeness, out)"},
    {"clear", clear, METH_VARARGS, "clear(frame, log_gain, log_gain_mean, shift, shift_mean, light, most, out)"},
    {"change", change, METH_VARARGS, "change(picture, guide, limit, change)"},
    {"keep", keep, METH_VARARGS, "keep(picture, answer, change, past, steepness, guide, kept)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "edge.native.loops", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit_loops(void) { return PyModule_Create(&module); }
