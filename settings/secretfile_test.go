package settings

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A container's secrets are readable by others in its own mount, as Docker and Kubernetes put them there; the same mode
// elsewhere, or by a link that leads out, is a mistake.
func TestSecretsOfAContainerMayBeReadable(t *testing.T) {
	mount, elsewhere := t.TempDir(), t.TempDir()
	linked := filepath.Join(t.TempDir(), "linked") // as /var/run is a link to /run
	if err := os.Symlink(mount, linked); err != nil {
		t.Fatal(err)
	}
	mounts := []string{filepath.Join(elsewhere, "not-there"), linked}
	write := func(dir, name string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(to, dir, name string) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(mount, "app/..2026_11_29/tokens", 0o644)
	link("..2026_11_29", mount, "app/..data")
	beside := mount + "-beside"
	t.Cleanup(func() { os.RemoveAll(beside) })

	for name, c := range map[string]struct {
		path string
		good bool
	}{
		"the owner's alone":            {write(elsewhere, "own", 0o600), true},
		"the owner's alone, read only": {write(elsewhere, "own-ro", 0o400), true},
		"Docker's":                     {write(mount, "docker", 0o444), true},
		"Docker's, of a group":         {write(mount, "docker-group", 0o440), true},
		"Kubernetes', by its links":    {link("..data/tokens", mount, "app/tokens"), true},
		"by the mount's other name":    {filepath.Join(linked, "docker"), true},
		"by a link into the mount":     {link(filepath.Join(mount, "docker"), elsewhere, "in"), true},
		"elsewhere":                    {write(elsewhere, "open", 0o444), false},
		"elsewhere, of a group":        {write(elsewhere, "group", 0o440), false},
		"elsewhere, by dots":           {mount + "/../" + filepath.Base(elsewhere) + "/open", false},
		"beside the mount":             {write(beside, "docker", 0o444), false},
		"by a link out of the mount":   {link(filepath.Join(elsewhere, "open"), mount, "out"), false},
		"writable by a group":          {write(mount, "group-writes", 0o460), false},
		"writable by all":              {write(mount, "all-write", 0o666), false},
		"executable by others":         {write(mount, "runs", 0o555), false},
	} {
		info, err := os.Stat(c.path)
		if err != nil {
			t.Fatal(err)
		}
		err = checkSecret(c.path, info.Mode().Perm(), mounts)
		if _, exposed := errors.AsType[*Exposed](err); exposed == c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadSecretFile(write(elsewhere, "read", 0o644)); err == nil {
		t.Error("an open file is read")
	}
	if text, err := ReadSecretFile(write(elsewhere, "read2", 0o600)); err != nil || text != "x" {
		t.Errorf("%q %v", text, err)
	}
	if len(secretMounts) != 2 || secretMounts[0] != "/run/secrets" || secretMounts[1] != "/var/run/secrets" {
		t.Errorf("the mounts are %v", secretMounts)
	}
}
