"""Between what the wishes of a stream lie. Without imports: the help of `edge.run` comes at once."""

STRONGEST = 1.5  # strength: how much of the haze to remove
LONGEST_SMOOTHING_S = 5.0
SLOWEST_FPS, FASTEST_FPS = 0.001, 1000.0
SLOWEST_RECORDED_FPS = 0.1  # of frames whose times are made up: a step of more than 10 s counts as a leap (Timeline)
