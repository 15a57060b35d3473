"""Geometry: rotations, rigid transforms and cameras, one place for every formula, with the frames in the names.

Conventions of all of rlvla: metres and radians; matrices act on column vectors; quaternions are unit and wxyz; `a_T_b`
is the transform [4, 4] that takes coordinates in frame b to coordinates in frame a, so `a_T_c = a_T_b @ b_T_c`, and it
is also the pose of frame b in frame a; `x_in_a` is the vector or pose x in coordinates of frame a. Functions of arrays
take numpy arrays or torch tensors with any leading batch dimensions and return the same kind.
"""
