package files

import (
	"errors"
	"os"
)

const ReserveBytes = 16 << 20

func ReservePath(path string) string { return path + ".ballast" }

func Fill(path string, size int64) error {
	os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for done := int64(0); done < size && err == nil; done += int64(len(block)) {
		_, err = f.Write(block[:min(int64(len(block)), size-done)])
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func CompactPath(path string) string { return path + ".compact" }

// MakeRoom removes what is not needed beside a spool that is not open: the reserve, a copy that was not finished, and the
// salvaged spool that did not fit. It reports whether it removed anything but the last.
func MakeRoom(path string) (gained bool) {
	os.Remove(path + ".new")
	for _, name := range []string{ReservePath(path), CompactPath(path)} {
		gained = os.Remove(name) == nil || gained
	}
	return gained
}
