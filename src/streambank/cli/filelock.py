"""``flock`` between processes: held by an open file, so that the kernel lets it go whatever way its process ends.

On systems without it a lock is always free; two ``up`` on one folder are then only told apart by the log itself.
"""

import sys

if sys.platform != "win32":
    import fcntl

    def lock(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
        """Lock the open file; False if another holds it and this does not ``wait``."""
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(descriptor, mode)
        except BlockingIOError:
            return False
        return True

else:

    def lock(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
        """Lock the open file: always free here."""
        return True
