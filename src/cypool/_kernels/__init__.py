"""The loops. Every .pyx file here is compiled once per instruction-set level: every line exists three times in a wheel.

setup.py names the levels, dispatch.py chooses one. Kernels trust their arguments, which pool.py has checked, and
import no Python module. No directive may stand in a file's header: it would override the checked build's.
"""
