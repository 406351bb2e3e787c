"""How cypool is compiled: the only file that knows a compiler flag or a Cython directive.

Every kernel source is compiled once per instruction-set level, as module ``cypool._kernels.<stem>_<level>``;
what the project is called and needs is in pyproject.toml. Five environment variables change a build, and each
combination of them has its own folder under ``build/``, so that no build picks up another's objects:

CYPOOL_CHECKED=1   the C macro of this name: kernels check every address in an array before they go there
CYPOOL_WERROR=1    a Cython warning, a Cython performance hint or a C warning stops the build
CYPOOL_OPENMP=0    leave OpenMP out; =1: stop if the compiler has none; unset: use it if the compiler has it
CYPOOL_LINES=1     keep debug information and symbols, with .pyx line numbers, for perf, gdb and valgrind
CYPOOL_ONLY=LEVEL  compile this level only: a third of the time, for trying things out
"""

import io
import os
import shutil
import sys
import sysconfig
import tempfile
from contextlib import redirect_stderr
from glob import glob
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

KERNELS = ("forward", "backward", "windows")  # the one that compiles longest first

# psABI levels and what each adds for gcc and clang, and for MSVC. gcc's own choice at x86_64_v4 is 32-byte vectors.
LEVELS = {
    "baseline": {"unix": [], "msvc": []},
    "x86_64_v3": {"unix": ["-march=x86-64-v3"], "msvc": ["/arch:AVX2"]},
    "x86_64_v4": {"unix": ["-march=x86-64-v4"], "msvc": ["/arch:AVX512"]},
}
X86 = sysconfig.get_platform().endswith(("-x86_64", "-amd64"))

SWITCHES = ("CYPOOL_CHECKED", "CYPOOL_WERROR", "CYPOOL_OPENMP", "CYPOOL_LINES", "CYPOOL_ONLY")
CHECKED, WERROR, _, LINES, _ = (os.environ.get(name) == "1" for name in SWITCHES)
ONLY = os.environ.get("CYPOOL_ONLY")
SET = [f"{name.removeprefix('CYPOOL_').lower()}{os.environ[name]}" for name in SWITCHES if os.environ.get(name)]
BUILD = "build/" + ("-".join(SET) or "default")

DIRECTIVES = {
    "language_level": 3,
    "wraparound": False,
    "cdivision": True,
    "freethreading_compatible": True,
}

# Only flags that cannot change a result. Contraction to FMA can, and would make the levels disagree.
FLAGS = {
    "unix": ["-O2" if CHECKED else "-O3", "-ffp-contract=off", "-fno-math-errno", "-g" if LINES else "-g0"],
    "msvc": ["/O2", "/fp:precise"],
}
# Kernels are vectors already: all of gcc's -O3 takes a third of the time it compiles and gains nothing (docs/design.md).
# This is -O1 and what of the rest counts; without -fexpensive-optimizations no vzeroupper. clang has no such flags.
LEAN = {
    "unix": [
        "-O1", "-fexpensive-optimizations", "-finline-small-functions", "-ftree-vectorize", "-fvect-cost-model=dynamic",
        "-fpeel-loops", "-fgcse", "-fcse-follow-jumps", "-frerun-cse-after-loop", "-fthread-jumps", "-fstrict-aliasing",
        "-fcaller-saves", "-fschedule-insns2", "-freorder-blocks-algorithm=stc", "-falign-functions", "-falign-loops",
    ],
    "msvc": [],
}  # fmt: skip
if WERROR:
    FLAGS["unix"] += ["-Wall", "-Wextra", "-Werror"]
    FLAGS["msvc"] += ["/W3", "/WX"]
# Unstripped a module is 1.3 MB, stripped 0.2 MB. Apple's linker has no such option and needs none after -g0.
STRIP = {"unix": [] if LINES or sys.platform == "darwin" else ["-Wl,--strip-all"], "msvc": []}

# (compile, link) in order of trial: gcc and clang; Apple's clang with a libomp that CPPFLAGS and LDFLAGS may point to.
OPENMP = {
    "unix": [(["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])],
    "msvc": [(["/openmp"], [])],
}
EMPTY = "int main(void) { return 0; }\n"
OPENMP_PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


def extensions():
    """Every module of the package, still as Cython source, with the level it is compiled for."""
    macros = [("CYPOOL_CHECKED", "1")] if CHECKED else []
    headers = glob("src/cypool/_kernels/*.h")
    cpu = [*macros, ("CYPOOL_X86_LEVELS", "1")] if X86 else macros
    yield "baseline", Extension("cypool._cpu", ["src/cypool/_cpu.pyx"], define_macros=cpu)
    yield "baseline", Extension("cypool._shortcut", ["src/cypool/_shortcut.pyx"], define_macros=macros, depends=headers)
    for level in (LEVELS if X86 else ["baseline"]) if not ONLY else [ONLY]:
        for stem in KERNELS:
            # The C is that of a module called by the stem: only its entry point is renamed for the level.
            name, source = f"cypool._kernels.{stem}_{level}", f"src/cypool/_kernels/{stem}.pyx"
            entry = (f"PyInit_{stem}", f"PyInit_{stem}_{level}")
            yield level, Extension(name, [source], define_macros=[*macros, entry], depends=headers)


class Build(build_ext):
    """build_ext that knows the levels; it asks the compiler, not the machine, what it can do."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self):
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        compile_openmp, link_openmp = self.openmp(kind)
        lean = [] if self.fails([*LEAN[kind], "-Werror"], []) else LEAN[kind]
        modules = {extension.name: extension for extension in self.extensions}
        sources = {extension.sources[0]: extension.name for extension in self.extensions}
        for source, name in sources.items():
            sources[source] = f"cypool._kernels.{Path(source).stem}" if "_kernels" in name else name
        headers = str(Path("src/cypool/_kernels").resolve())
        translated = self.translate([Extension(name, [source]) for source, name in sources.items()])
        for level, extension in extensions():
            extension = modules[extension.name]
            kernels = lean if "_kernels" in extension.name else []
            extension.extra_compile_args = [*FLAGS[kind], *kernels, *LEVELS[level][kind], *compile_openmp]
            extension.include_dirs = [*extension.include_dirs, headers]
            extension.extra_link_args = [*STRIP[kind], *link_openmp]
            c = translated[extension.sources[0]]
            # A folder per level: objects are named after the C file, and two of one name would be one.
            mine = Path(self.build_temp, level, Path(c.sources[0]).name)
            mine.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(c.sources[0], mine)
            extension.sources = [str(mine)]
            extension.depends = [*extension.depends, *c.depends, "setup.py"]
        # What takes longest first, so that no core is left with it at the end.
        self.extensions.sort(key=lambda extension: (*(stem not in extension.name for stem in KERNELS),))
        super().build_extensions()

    def translate(self, modules):
        """Cython to C, once for all levels; by source."""
        said = io.StringIO()
        sources = [module.sources[0] for module in modules]
        with redirect_stderr(said if WERROR else sys.stderr):
            try:
                done = cythonize(
                    modules,
                    include_path=["src"],
                    build_dir=str(Path(self.build_temp, "cython")),
                    compiler_directives=DIRECTIVES,
                    emit_linenums=LINES,
                    force=self.force or WERROR,
                    # What other processes say is not heard here.
                    nthreads=0 if WERROR else min(self.parallel, len(modules)),
                )
            finally:
                print(said.getvalue(), file=sys.__stderr__, end="")
                if "warning:" in said.getvalue() or "performance hint:" in said.getvalue():
                    sys.exit("CYPOOL_WERROR=1: Cython had something to say")
        return dict(zip(sources, done, strict=True))

    def openmp(self, kind):
        """The flags that turn OpenMP on, tried on a program that needs it."""
        wanted = os.environ.get("CYPOOL_OPENMP")
        if wanted == "0":
            return [], []
        for compile_flags, link_flags in OPENMP[kind]:
            error = self.fails(compile_flags, link_flags, OPENMP_PROBE)
            if error is None:
                return compile_flags, link_flags
            print(f"OpenMP with {compile_flags}: {error}")
        if wanted == "1":
            sys.exit("CYPOOL_OPENMP=1: this compiler has no OpenMP")
        print("this compiler has no OpenMP: cypool will run on one thread")
        return [], []

    def fails(self, compile_flags, link_flags, program=EMPTY):
        """What goes wrong when a program is built with these flags; None if nothing does."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(program)
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=compile_flags)
                self.compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=link_flags)
            except (CompileError, LinkError) as error:
                return error
        return None


setup(
    ext_modules=[extension for _, extension in extensions()],
    cmdclass={"build_ext": Build},
    options={"build": {"build_base": BUILD}},
)
