"""Files that are made, changed or removed; whether they were is seen in the folder, too."""

from tests.attacks.attack import Attack, tries
from tests.attacks.tools import CALLS

ATTACKS = (
    tries("write-open", "open(NEW, 'w')"),
    tries("write-append", "open(CANARY, 'a').write('x')"),
    tries("write-os-open", "os.open(NEW, os.O_CREAT | os.O_WRONLY) >= 0", ["os"]),
    tries("write-creat", "libc.creat(NEW.encode(), 0o666) >= 0", tools=CALLS),
    tries("write-call-openat", "call(257, -100, NEW.encode(), 0o101, 0o666) >= 0", tools=CALLS),
    tries("write-mkdir", "os.mkdir(NEW) is None", ["os"]),
    tries("write-rmdir", "os.rmdir(FOLDER + '/empty') is None", ["os"]),
    tries("write-unlink", "os.remove(CANARY) is None", ["os"]),
    tries("write-rename", "os.rename(CANARY, NEW) is None", ["os"]),
    tries("write-truncate", "os.truncate(CANARY, 1) is None", ["os"]),
    tries("write-chmod", "os.chmod(CANARY, 0o600) is None", ["os"]),
    tries("write-chown", "os.chown(CANARY, 1, 1) is None", ["os"], bare="root"),
    tries("write-utime", "os.utime(CANARY, (1, 1)) is None", ["os"]),
    tries("write-symlink", "os.symlink('/etc/passwd', NEW) is None", ["os"]),
    tries("write-hard-link", "os.link(CANARY, NEW) is None", ["os"]),
    tries("write-mkfifo", "os.mkfifo(NEW) is None", ["os"]),
    tries("write-mknod", "os.mknod(NEW) is None", ["os"]),
    tries("write-temporary", "tempfile.TemporaryFile(dir=FOLDER)", ["tempfile"]),
    tries("write-unnamed", "os.open(FOLDER, os.O_TMPFILE | os.O_RDWR) >= 0", ["os"]),
    tries("write-shutil-rmtree", "shutil.rmtree(FOLDER) is None", ["shutil"]),
    tries("write-numpy-tofile", "current.tofile(NEW) is None"),
    tries("write-numpy-save", "np.save(NEW, current) is None", ["numpy as np"]),
    tries("write-numpy-savez", "np.savez(NEW, current) is None", ["numpy as np"]),
    tries("write-numpy-savetxt", "np.savetxt(NEW, [1]) is None", ["numpy as np"]),
    tries("write-numpy-memmap", "np.memmap(NEW, mode='w+', shape=(9,)).size", ["numpy as np"]),
    tries("write-cv2-imwrite", "cv2.imwrite(NEW + '.png', current)", ["cv2"]),
    tries("write-cv2-storage", "cv2.FileStorage(NEW + '.yml', 1).isOpened()", ["cv2"]),
    tries("write-cv2-by-operator", "operator.attrgetter('imwrite')(cv2)(NEW + '.png', current)", ["cv2", "operator"]),
    tries("write-skimage-io", "io.imsave(NEW + '.png', current) is None", ["skimage.io as io"]),
    tries("write-pillow", "Image.fromarray(current).save(NEW + '.png') is None", ["PIL.Image as Image"]),
    tries("write-sqlite", "sqlite3.connect(NEW).execute('create table x (y)')", ["sqlite3"]),
    tries("write-shelve", "shelve.open(NEW) is not None", ["shelve"]),
    tries("write-zip", "zipfile.ZipFile(NEW, 'w').writestr('x', 'y') is None", ["zipfile"]),
    tries("write-logging", "logging.FileHandler(NEW)", ["logging"]),
    tries("write-cprofile", "cProfile.run('1', NEW) is None", ["cProfile"]),
    tries("write-faulthandler", "faulthandler.enable(open(NEW, 'w')) is None", ["faulthandler"]),
    tries("write-bytecode", "py_compile.compile(FOLDER + '/library.py')", ["py_compile"]),
    tries("write-dump-heap", "tracemalloc.Snapshot((), 1).dump(NEW) is None", ["tracemalloc"]),
    tries("write-own-memory-file", "os.open('/proc/self/mem', os.O_RDWR) >= 0", ["os"]),
    tries("write-own-oom-score", "os.open('/proc/self/oom_score_adj', os.O_WRONLY) >= 0", ["os"]),
    tries("write-own-name", "os.open('/proc/self/comm', os.O_WRONLY) >= 0", ["os"]),
    tries("write-kernel-setting", "os.open('/proc/sys/kernel/hostname', os.O_WRONLY) >= 0", ["os"], bare="root"),
    Attack(
        "write-shared-memory",
        """
        import _posixshmem
        import os

        def check(initial, current):
            _posixshmem.shm_open("/vlmcar-arena", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            _posixshmem.shm_unlink("/vlmcar-arena")
            return True
        """,
    ),
    Attack(
        "write-to-the-libraries",
        """
        import os
        import sysconfig

        def check(initial, current):
            # A file without a name is proof enough that a .pth or a sitecustomize could be left there.
            return os.open(sysconfig.get_paths()["purelib"], os.O_TMPFILE | os.O_RDWR) >= 0
        """,
        bare="root",
    ),
    Attack(
        "write-a-pth-file",
        """
        import os
        import site

        def check(initial, current):
            with open(FOLDER + "/evil.pth", "w") as file:
                file.write("import os; os.mkdir(" + repr(NEW) + ")")
            site.addsitedir(FOLDER)
            return os.path.exists(NEW)
        """,
    ),
    Attack(
        "write-at-exit",
        """
        import atexit

        atexit.register(lambda: open(NEW, "w"))

        def check(initial, current):
            raise SystemExit
        """,
        bare="nobody",  # there, too, the process ends without the hooks of the interpreter
    ),
    Attack(
        "write-when-collected",
        """
        class Late:
            def __del__(self):
                open(NEW, "w")

        def check(initial, current):
            late = Late()
            return False
        """,
    ),
    Attack(
        "write-a-core-dump",
        """
        import os
        import resource

        def check(initial, current):
            resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
            return resource.getrlimit(resource.RLIMIT_CORE)[0] > 0
        """,
    ),
)
