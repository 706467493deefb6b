package demo

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sunspool/internal/testhost"
)

// What a person does first with a demo is on its first line.
func TestTheDemoBeginsWithItsPage(t *testing.T) {
	var out bytes.Buffer
	s := new(show)
	s.addresses.readers = "127.0.0.1:8080"
	newPanel(nil, &out, s).greet(Config{Model: "SH10RT"}, "1.2.3")
	if first, _, _ := strings.Cut(out.String(), "\n"); first != "Open http://127.0.0.1:8080/" {
		t.Errorf("%q", first)
	}
}

// --open gives the address to the first program that is there, and says so when there is none.
func TestTheDemoOpensItsPage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the programs of another system")
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if err := openBrowser(t.Context(), "http://127.0.0.1:8080/"); err == nil {
		t.Error("there is nothing that opens it")
	}
	script := "#!/bin/sh\nprintf %s \"$1\" > " + dir + "/part && /bin/mv " + dir + "/part " + dir + "/opened\n"
	testhost.WriteProgram(t, filepath.Join(dir, "wslview"), []byte(script), 0o700)
	if err := openBrowser(t.Context(), "http://127.0.0.1:8080/"); err != nil {
		t.Fatal(err)
	}
	for {
		opened, err := os.ReadFile(filepath.Join(dir, "opened"))
		if err == nil {
			if string(opened) != "http://127.0.0.1:8080/" {
				t.Errorf("%s", opened)
			}
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal("it was not opened")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
