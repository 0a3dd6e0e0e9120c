"""The integer engine behind the backend ``native``: one meaning, two implementations.

``model.py`` is the specification in plain NumPy; ``core/`` is the same in C++, fast. Both produce,
integer for integer, what the ``fixed_pt`` ProcessModels of lava-nc 0.10.0 produce.
"""
