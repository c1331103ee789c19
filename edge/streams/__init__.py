"""Streams: frames from a source, through a model, to sinks, for weeks on end.

    source -> Intake thread -> Mailbox -> model thread -> Mailbox -> Outlet thread -> sink

One thread each for capture, model and every sink, so that they overlap. A mailbox between them either waits (files:
nothing is lost) or lets the newest frame win (live sources: nothing is late).
"""
