package delivered

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sunspool/wire"
)

// Kept is what a directory of copies has. An edge may write to it at the same time.
type Kept struct {
	Samples        int
	Bytes, Damaged int64     // Damaged is how many bytes belong to no frame that is whole
	Oldest, Newest time.Time // hours; zero for none
	Devices        []string
}

// Look counts what is kept in dir and changes nothing. It is no error if there is no such directory.
func Look(dir string) (k Kept, err error) {
	err = eachFile(dir, func(text []byte) error {
		k.Bytes += int64(len(text))
		whole := 0
		frames(text, func(f frame) {
			for at, n := range f.hours {
				hour := time.UnixMilli(at).UTC()
				if k.Samples += n; k.Oldest.IsZero() || hour.Before(k.Oldest) {
					k.Oldest = hour
				}
				if hour.After(k.Newest) {
					k.Newest = hour
				}
			}
			if !slices.Contains(k.Devices, f.device) {
				k.Devices = append(k.Devices, f.device)
			}
			whole += f.size
		})
		k.Damaged += int64(len(text) - whole)
		return nil
	})
	return k, err
}

// Each calls f with every sample that is kept in dir, each once, the oldest first, and changes nothing.
func Each(dir string, f func(*wire.Sample) error) error {
	return eachFile(dir, func(text []byte) error {
		type key struct {
			ms     int64
			device string
		}
		found := map[key]*wire.Sample{}
		frames(text, func(fr frame) {
			fr.each(func(s *wire.Sample) { found[key{s.Time.UnixMilli(), s.DeviceID}] = s }) // what is damaged is skipped
		})
		keys := slices.SortedFunc(maps.Keys(found), func(a, b key) int { return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.device, b.device)) })
		for _, k := range keys {
			if err := f(found[k]); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachFile calls f with each file of dir, the oldest first.
func eachFile(dir string, f func(text []byte) error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries { // ReadDir sorts by name, which is the time
		start, ok := startOf(e.Name())
		if !ok {
			continue
		}
		text, err := (&Copies{Dir: filepath.Clean(dir)}).read(start)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its time is over
		}
		if err != nil {
			return err
		}
		if err := f(text); err != nil {
			return err
		}
	}
	return err
}
