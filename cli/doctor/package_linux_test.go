package doctor

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/internal/checklist"
	"sunspool/internal/testhost"
)

// aptRoot is a machine for dpkg and apt, with a source of its own: the real programs, and none of this machine's files.
type aptRoot struct {
	*testing.T
	dir string
}

func newAptRoot(t *testing.T) aptRoot {
	t.Helper()
	testhost.Need(t, "apt-get", "apt-cache", "dpkg", "dpkg-deb", "dpkg-query")
	a := aptRoot{t, t.TempDir()}
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "repo"} {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a.write("var/lib/dpkg/status", "")
	a.write("apt.conf", fmt.Sprintf("Dir %q;\nDir::State::status %q;\nAPT::Sandbox::User \"root\";\nAPT::Architecture \"amd64\";\nAPT::Architectures { \"amd64\"; };\n", a.dir, a.dir+"/var/lib/dpkg/status"))
	t.Setenv("APT_CONFIG", filepath.Join(a.dir, "apt.conf"))
	t.Setenv("DPKG_ADMINDIR", filepath.Join(a.dir, "var/lib/dpkg"))
	return a
}

func (a aptRoot) write(name, text string) {
	a.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
		a.Fatal(err)
	}
}

func (a aptRoot) run(name string, args ...string) {
	a.Helper()
	if out, err := exec.CommandContext(a.Context(), name, args...).CombinedOutput(); err != nil {
		a.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
}

// pack makes a package of that version and returns its file.
func (a aptRoot) pack(version string) string {
	a.Helper()
	dir := a.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "DEBIAN"), 0o755); err != nil {
		a.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "DEBIAN/control"), []byte(control(version)), 0o644); err != nil {
		a.Fatal(err)
	}
	file := filepath.Join(a.dir, "repo", "sunspool_"+version+"_all.deb")
	a.run("dpkg-deb", "--root-owner-group", "--build", dir, file)
	return file
}

func control(version string) string {
	return "Package: sunspool\nVersion: " + version + "\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: test\n"
}

// source has apt know these files.
func (a aptRoot) source(line string, files ...string) {
	a.Helper()
	var packages strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			a.Fatal(err)
		}
		_, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), "_all.deb"), "_")
		fmt.Fprintf(&packages, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", control(version), filepath.Base(file), len(text), sha256.Sum256(text))
	}
	a.write("repo/Packages", packages.String())
	a.write("etc/apt/sources.list", line+"\n")
	if err := os.RemoveAll(filepath.Join(a.dir, "var/lib/apt/lists")); err != nil { // they go by seconds
		a.Fatal(err)
	}
	a.run("apt-get", "update")
}

// What the package check finds is so with dpkg and apt themselves: no source, a newer version, the newest, and a source that has only
// older ones.
func TestPackageCheckAsksTheRealApt(t *testing.T) {
	a := newAptRoot(t)
	old, current, newer := a.pack("1.2.2"), a.pack("1.2.3"), a.pack("1.3.0~rc1")
	p := newPatient(t)
	p.machine.Program = program
	t.Setenv("LANGUAGE", "de") // as a desktop has it
	finds := func(state checklist.State, code string, words ...string) {
		t.Helper()
		r, text := p.examine("package")
		for _, check := range r.Checks {
			if check.Area != areaPackage || check.Code == "version_differs" {
				continue
			}
			for _, word := range words {
				if !strings.Contains(check.What+check.Why+check.Next, word) {
					t.Errorf("%q is missing in %+v", word, check)
				}
			}
			if check.State != state || check.Code != code {
				t.Errorf("%+v", check)
			}
			return
		}
		t.Errorf("no word of the package:\n%s", text)
	}
	finds(checklist.Skip, "", "not here as a package")
	a.run("dpkg", "--root="+a.dir, "--force-not-root", "--install", current)
	finds(checklist.Skip, "", "1.2.3", "no source")
	for _, scheme := range []string{"file", "copy"} {
		line := "deb [trusted=yes] " + scheme + ":" + a.dir + "/repo ./"
		a.source(line, old, current)
		finds(checklist.OK, "", "1.2.3", "the newest", scheme+":"+a.dir)
		a.source(line, old, current, newer)
		finds(checklist.Warn, "newer_version", "1.2.3 is installed", "1.3.0~rc1", "apt-get install --only-upgrade sunspool")
		a.source(line, old)
		finds(checklist.OK, "", "1.2.3", "the newest")
	}
	a.write("etc/apt/sources.list", "")
	a.run("apt-get", "update")
	finds(checklist.Skip, "", "1.2.3", "no source")
}
