"""Ask a node over an open connection, with the client library that is shipped (libunderstudy)."""

import ctypes
import json

DONE, FAILED, NO_NODE, NO_QUORUM = 0, 1, 3, 5


class Error(ctypes.Structure):
    _fields_ = [("exit", ctypes.c_int), ("code", ctypes.c_char * 48),
                ("message", ctypes.c_char * 512), ("hint", ctypes.c_char * 256)]


def load(path):
    library = ctypes.CDLL(path)
    library.understudy_connect.argtypes = [
        ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_void_p),
        ctypes.POINTER(Error)]
    library.understudy_call.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64,
        ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(Error)]
    library.understudy_destroy.argtypes = [ctypes.POINTER(ctypes.c_void_p)]
    library.free = ctypes.CDLL(None).free
    library.free.argtypes = [ctypes.c_void_p]
    return library


class Client:
    """One connection to one node; opened when it is needed, and again after it broke."""

    library = None

    def __init__(self, build, endpoint):
        if Client.library is None:
            Client.library = load(f"{build}/lib/libunderstudy.so")
        self.endpoint = endpoint.encode()
        self.handle = ctypes.c_void_p()
        self.error = Error()

    def call(self, verb, timeout_ms=2000, **arguments):
        """(exit code, envelope or None)"""
        if not self.handle:
            code = self.library.understudy_connect(self.endpoint, None, timeout_ms,
                                                   ctypes.byref(self.handle),
                                                   ctypes.byref(self.error))
            if code != DONE:
                return code, None
        text = ctypes.c_void_p()
        code = self.library.understudy_call(
            self.handle, verb.encode(), json.dumps(arguments).encode() if arguments else None,
            timeout_ms, ctypes.byref(text), ctypes.byref(self.error))
        envelope = None
        if text:
            envelope = json.loads(ctypes.string_at(text))
            self.library.free(text)
        if code == NO_NODE:
            self.close()
        return code, envelope

    def data(self, verb, **arguments):
        """The answer's data when it is done and not stale, else None."""
        code, envelope = self.call(verb, **arguments)
        return envelope["data"] if envelope and code in (DONE, FAILED) else None

    def close(self):
        if self.handle:
            self.library.understudy_destroy(ctypes.byref(self.handle))
            self.handle = ctypes.c_void_p()
