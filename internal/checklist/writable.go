package checklist

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"sunspool/health"
)

// Writable is whether who asks may make a file in dir, or, while there is no such directory, in the one in which it will be made.
func Writable(area, dir string) Check {
	at := dir
	for _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) && filepath.Dir(at) != at; _, err = os.Stat(at) {
		at = filepath.Dir(at)
	}
	f, err := os.CreateTemp(at, ".sunspool-check-")
	if err != nil {
		return Of(area, &health.Fault{Code: "directory_unwritable", What: dir + " cannot be written", Err: err, Next: "check as the user of the service, its owner and the space on that disk"})
	}
	f.Close()
	os.Remove(f.Name())
	return Check{Area: area, State: OK, What: dir + " can be written"}
}
