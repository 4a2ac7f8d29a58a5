"""Files that are read: contents, names, and whether they are there."""

from tests.attacks.attack import Attack, tries
from tests.attacks.tools import CALLS

ATTACKS = (
    tries("read-open", "'canary' in open(CANARY).read()"),
    tries("read-os-open", "b'canary' in os.read(os.open(CANARY, 0), 99)", ["os"]),
    tries("read-fileio", "b'canary' in io.FileIO(CANARY).read()", ["io"]),
    tries("read-open-code", "b'canary' in io.open_code(CANARY).read()", ["io"]),
    tries("read-pathlib", "'canary' in pathlib.Path(CANARY).read_text()", ["pathlib"]),
    tries("read-codecs", "'canary' in codecs.open(CANARY).read()", ["codecs"]),
    tries("read-fileinput", "any('canary' in line for line in fileinput.input(CANARY))", ["fileinput"]),
    tries("read-linecache", "'canary' in linecache.getline(CANARY, 1)", ["linecache"]),
    tries("read-tokenize", "'canary' in tokenize.open(CANARY).read()", ["tokenize"]),
    tries("read-shutil", "shutil.copy(CANARY, NEW)", ["shutil"]),
    tries("read-mmap", "b'canary' in mmap.mmap(os.open(CANARY, 0), 0, prot=mmap.PROT_READ)[:]", ["mmap", "os"]),
    tries("read-passwd", "'root' in open('/etc/passwd').read()"),
    tries("read-shadow", "open('/etc/shadow').read()", bare="root"),
    tries("read-own-maps", "'heap' in open('/proc/self/maps').read()"),
    tries("read-own-descriptors", "os.listdir('/proc/self/fd')", ["os"]),
    tries("read-libc-open", "libc.open(CANARY.encode(), 0) >= 0", tools=CALLS),
    tries("read-libc-fopen", "libc.fopen(CANARY.encode(), b'r')", tools=CALLS),
    tries("read-call-open", "call(2, CANARY.encode(), 0, 0) >= 0", tools=CALLS),
    tries("read-call-openat", "call(257, -100, CANARY.encode(), 0, 0) >= 0", tools=CALLS),
    tries("read-call-openat2", "call(437, -100, CANARY.encode(), bytes(24), 24) >= 0", tools=CALLS),
    tries("read-call-open-path", "call(257, -100, CANARY.encode(), 0o10000000, 0) >= 0", tools=CALLS),
    tries("read-call-open-by-handle", "reached(304, -100, 0, 0)", tools=CALLS, bare="root"),
    tries("read-call-name-to-handle", "reached(303, -100, CANARY.encode(), 0, 0, 0)", tools=CALLS),
    tries("read-listdir", "os.listdir(FOLDER)", ["os"]),
    tries("read-scandir-root", "list(os.scandir('/'))", ["os"]),
    tries("read-walk", "next(os.walk(FOLDER))", ["os"]),
    tries("read-glob", "glob.glob(FOLDER + '/*')", ["glob"]),
    tries("read-stat", "os.stat(CANARY).st_size", ["os"]),
    tries("read-access", "os.access(CANARY, os.R_OK)", ["os"]),
    tries("read-statx", "reached(332, -100, CANARY.encode(), 0, 0xFFF, bytes(256))", tools=CALLS),
    tries("read-link", "os.readlink('/proc/self/exe')", ["os"]),
    tries("read-chdir", "os.chdir(FOLDER) is None", ["os"]),
    tries("read-getcwd-root", "os.chdir('/') is None and os.getcwd() == '/'", ["os"]),
    tries("read-inotify", "call(254, call(253), FOLDER.encode(), 0xFFF) >= 0", tools=CALLS),
    tries("read-numpy-fromfile", "np.fromfile(CANARY, np.uint8).size", ["numpy as np"]),
    tries("read-numpy-loadtxt", "np.loadtxt(FOLDER + '/numbers.txt') == 42", ["numpy as np"]),
    tries("read-numpy-genfromtxt", "np.genfromtxt(FOLDER + '/numbers.txt') == 42", ["numpy as np"]),
    tries("read-numpy-fromregex", "np.fromregex(CANARY, '(c)', [('x', 'S1')]).size", ["numpy as np"]),
    tries("read-numpy-memmap", "np.memmap(CANARY, mode='r').size", ["numpy as np"]),
    tries("read-numpy-load", "np.load(FOLDER + '/array.npy')[0] == 42", ["numpy as np"]),
    tries("read-numpy-pickle", "np.load(FOLDER + '/pickled.npy', allow_pickle=True)[0] == 'canary'", ["numpy as np"]),
    tries("read-numpy-open-memmap", "np.lib.format.open_memmap(FOLDER + '/array.npy').size", ["numpy as np"]),
    tries("read-numpy-datasource", "np.lib.npyio.DataSource(None).open(CANARY).read()", ["numpy as np"]),
    # Past the gate, which knows the public name only.
    tries("read-numpy-private-open", "'canary' in np.lib._datasource.open(CANARY).read()", ["numpy as np"]),
    tries("read-cv2-imread", "cv2.imread(FOLDER + '/canary.png').any()", ["cv2"]),
    tries("read-cv2-imreadmulti", "cv2.imreadmulti(FOLDER + '/canary.png')[0]", ["cv2"]),
    tries("read-cv2-imcount", "cv2.imcount(FOLDER + '/canary.png') > 0", ["cv2"]),
    tries("read-cv2-have-reader", "cv2.haveImageReader(FOLDER + '/canary.png')", ["cv2"]),
    tries("read-cv2-find-file", "cv2.samples.findFile(CANARY, False)", ["cv2"]),
    tries("read-cv2-video", "cv2.VideoCapture(FOLDER + '/canary_%d.png', cv2.CAP_IMAGES).isOpened()", ["cv2"]),
    tries("read-cv2-storage", "cv2.FileStorage(FOLDER + '/storage.yml', 0).isOpened()", ["cv2"]),
    tries("read-cv2-onnx", "cv2.dnn.readTensorFromONNX(FOLDER + '/tensor.pb').size == 1", ["cv2"]),
    tries(
        "read-cv2-by-operator", "operator.attrgetter('imread')(cv2)(FOLDER + '/canary.png').any()", ["cv2", "operator"]
    ),
    tries("read-skimage-io", "io.imread(FOLDER + '/canary.png').any()", ["skimage.io as io"]),
    tries("read-pillow", "Image.open(FOLDER + '/canary.png').size", ["PIL.Image as Image"]),
    tries("read-sqlite", "sqlite3.connect('file:' + CANARY + '?mode=ro', uri=True)", ["sqlite3"]),
    tries("read-run-path", "runpy.run_path(FOLDER + '/library.py')['VALUE'] == 'canary'", ["runpy"]),
    tries(
        "read-zipimport", "zipimport.zipimporter(FOLDER + '/library.zip').load_module('zipped_library')", ["zipimport"]
    ),
    tries("read-library-not-loaded", "ctypes.CDLL('libBrokenLocale.so.1')", ["ctypes"]),
    tries("read-import-not-loaded", "__import__('mailbox').Mailbox"),
    tries("read-extension-not-loaded", "__import__('_xxtestfuzz').run or True"),
    Attack(
        "read-import-from-folder",
        """
        import sys

        def check(initial, current):
            sys.path.insert(0, FOLDER)
            import library
            return library.VALUE == "canary"
        """,
    ),
    Attack(
        "read-import-from-working-folder",
        """
        import os
        import sys

        def check(initial, current):
            os.chdir(FOLDER)
            sys.path.insert(0, "")
            import library
            return library.VALUE == "canary"
        """,
    ),
    Attack(
        "read-source-loader",
        """
        import importlib.machinery

        def check(initial, current):
            loader = importlib.machinery.SourceFileLoader("library", FOLDER + "/library.py")
            return b"canary" in loader.get_data(loader.path)
        """,
    ),
    Attack(
        "read-traceback",
        """
        import traceback

        def check(initial, current):
            try:
                exec(compile("1 / 0", CANARY, "exec"))
            except ZeroDivisionError:
                return "vlmcar-" + "canary" in traceback.format_exc()
        """,
    ),
    Attack(
        "read-warning-source-line",
        """
        import warnings

        def check(initial, current):
            return "vlmcar-" + "canary" in warnings.formatwarning("x", UserWarning, CANARY, 1)
        """,
    ),
    Attack(
        "read-any-open-descriptor",
        """
        import os
        import stat

        def check(initial, current):
            kinds = []
            for file in range(1024):
                try:
                    kinds.append(os.fstat(file).st_mode)
                except OSError:
                    pass
            return any(stat.S_ISREG(kind) or stat.S_ISDIR(kind) for kind in kinds)
        """,
        bare="nobody",  # there are none
    ),
    Attack(
        "read-and-say-it-in-an-error",
        """
        def check(initial, current):
            raise ValueError(open(CANARY).read())
        """,
    ),
)
