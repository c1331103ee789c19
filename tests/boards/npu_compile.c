/* npu_compile MODEL.xml BLOB PLATFORM: compile an OpenVINO model for an Intel NPU that is not here, and keep the blob.
 * Built for Windows against the C interface of the OpenVINO wheel, run under Wine; see npu.py. */
#include <stdio.h>
#include "openvino/c/openvino.h"

static int failed(const char *step) {
    fprintf(stderr, "npu_compile: %s: %s\n", step, ov_get_last_err_msg());
    return 1;
}

int main(int argc, char **argv) {
    ov_core_t *core = NULL;
    ov_compiled_model_t *compiled = NULL;
    if (argc != 4) {
        fprintf(stderr, "npu_compile: MODEL.xml BLOB PLATFORM\n");
        return 64;
    }
    if (ov_core_create(&core) != OK)
        return failed("no core");
    if (ov_core_compile_model_from_file(core, argv[1], "NPU", 2, &compiled, "NPU_PLATFORM", argv[3]) != OK)
        return failed("not compiled");
    if (ov_compiled_model_export_model(compiled, argv[2]) != OK)
        return failed("not exported");
    ov_compiled_model_free(compiled);
    ov_core_free(core);
    return 0;
}
