"""Layers in forms that MindSpore 2.10's CPU back end runs fast or in little memory. ../backend.py chooses them.

A `bprop` calls primitives: MindSpore cannot compile functions whose branches depend on types there, such as ops.tile.
`ops.depend(x, dout)` in it says: not before the backward. What follows from inputs alone would otherwise be computed in
the forward, and kept until then.
"""
