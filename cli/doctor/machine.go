package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/mdns"
)

// Machine is what the checks look at: this machine, or one of a test.
type Machine struct {
	Root    string // before the paths of the package; "" but in tests
	Environ []string

	Program func(ctx context.Context, name string, args ...string) (string, error) // runs one of the system's; what it prints
	Now     func() time.Time
	Synced  func() (bool, error) // whether the kernel's clock is kept by a time server
	Disk    func(path string) (Disk, error)
	Write   func(dir string) error // and sync a file that is removed again
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	Find    func(ctx context.Context, host string) ([]netip.Addr, error) // the same, also names of .local
	Local   func() ([]net.Addr, error)                                   // the addresses of this machine
}

// ThisMachine is the machine on which the program runs.
func ThisMachine() *Machine {
	names := new(mdns.Names)
	return &Machine{
		Environ: os.Environ(), Program: program, Now: time.Now, Synced: clock.ThisHost().Synced, Disk: diskOf, Write: tryToWrite,
		Dial: names.DialContext, Find: names.Resolve, Lookup: net.DefaultResolver.LookupNetIP, Local: net.InterfaceAddrs,
	}
}

// Disk is the filesystem of a path.
type Disk struct {
	Mount       string
	ReadOnly    bool
	Free, Size  uint64 // bytes, for who is not root
	Files, Left uint64 // that it may hold, and how many more; 0, 0 where it has no such limit
	Memory      bool   // it is gone after a power cut
}

var errNoProgram = errors.New("there is no such program")

func program(ctx context.Context, name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errNoProgram
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "LANGUAGE=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	cmd.WaitDelay = time.Second
	text, err := cmd.Output()
	return string(text), err
}

// tryToWrite writes a small file, as durably as a spool is written.
func tryToWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// addresses are those of a host, which may be written as one.
func (m *Machine) addresses(ctx context.Context, host string) (all []netip.Addr, err error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	all, err = m.Find(ctx, host)
	for i := range all {
		all[i] = all[i].Unmap()
	}
	return all, err
}

func (m *Machine) path(name string) string {
	if m.Root == "" || !strings.HasPrefix(name, "/etc/") && !strings.HasPrefix(name, "/run/") && !strings.HasPrefix(name, "/proc/") {
		return name
	}
	return filepath.Join(m.Root, name)
}
