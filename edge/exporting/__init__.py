"""From a model to a bundle, a part of it in each file; `edge.export` is the command over them.

    models     the model to start from: a shipped one, an .onnx file, or a checkpoint
    pictures   what INT8 ranges are taken from, and what the artefact is measured on
    assembly   a target's artefact in a bundle, in memory, and on the disk
    control    which layers stay in float, so that no more is lost than is allowed
    soundness  whether an artefact computes what its model computes
    fidelity   how far its frames are from the float model's, and golden frames
    measured   all of that in turn: the bundle with its figures in the manifest

What only builds is imported when it is used: a board reads bundles without any of it.
"""
