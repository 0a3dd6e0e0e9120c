"""``python -m lava_align.cli``, where the ``lava-align`` script is not on the path."""

from lava_align.cli.main import main

main()
