package transport

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/upload/uploadtest"
)

// Where nothing has changed a certificate that is not accepted has the roots read once a minute.
func TestRootsAreReadOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := roots{file: uploadtest.NewAuthority(t).File}
		reads := 0
		for range 60 {
			if r.forced() {
				reads++
			}
			time.Sleep(5 * time.Second)
		}
		if reads != 5 {
			t.Errorf("%d times in five minutes", reads)
		}
	})
}

// A host that has no roots of its own uses those of the program, until it gets some.
func TestHostWithoutRootsUsesThoseOfTheProgram(t *testing.T) {
	if !rootsAreFiles {
		t.Skip("SKIPPED: this system verifies by itself")
	}
	file := filepath.Join(t.TempDir(), "roots.pem")
	t.Setenv("SSL_CERT_FILE", file)
	t.Setenv("SSL_CERT_DIR", t.TempDir()+"/none")
	var r roots
	if err := r.load(); err != nil || r.get() != nil || r.changed() {
		t.Fatalf("%v, %v", r.get(), err)
	}
	authority, err := os.ReadFile(uploadtest.NewAuthority(t).File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	if !r.changed() || !r.reload() || r.get() == nil {
		t.Error("the roots of the host are not used")
	}
	if r.changed() || r.reload() {
		t.Error("the same roots are others")
	}
}
