"""Bundles on boards: copied over SSH, proved there, switched in atomically.

On the board, below the folder that `edge.deploy` was given:

    current                  a link to the live release; what edge.run is started with
    releases/000007-1f2e...  bundles that were live, the newest with the highest number
    .incoming.XXXXXX/        a bundle on its way; what a cut left behind is removed by the next call
"""
