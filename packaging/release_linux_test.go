package packaging

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var withRelease = flag.Bool("release", false, "make a release of this commit, images and signature included")

// released is where packaging/release-snapshot leaves what it made.
const released = "../dist/release"

// TestRelease makes what a tag would make, and looks at it as who downloads it does. That the signature and the checksums
// hold, and that the Debian packages are those of nfpm.yaml, the script itself sees to.
func TestRelease(t *testing.T) {
	if !*withRelease {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this takes a Docker engine and, the first time, a quarter of an hour: make test-release")
	}
	e := startEngine(t)
	cmd := exec.Command("./release-snapshot")
	cmd.Env = e.env
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := output(exec.Command("git", "rev-parse", "HEAD"))
	if err != nil {
		t.Fatal(err)
	}
	sums := string(must(os.ReadFile(filepath.Join(released, "SHA256SUMS"))))
	packages := must(filepath.Glob(filepath.Join(released, "*.deb")))
	archives := append(must(filepath.Glob(filepath.Join(released, "*.tar.gz"))), must(filepath.Glob(filepath.Join(released, "*.zip")))...)
	if len(packages) != 3 || len(archives) != 8 {
		t.Errorf("a release has the packages %v and the archives %v", packages, archives)
	}
	var want []string
	for _, file := range slices.Concat(packages, archives) {
		want = append(want, filepath.Base(file))
	}
	for _, file := range archives {
		want = append(want, filepath.Base(file)+".sbom.json")
	}
	var summed []string
	for line := range strings.Lines(sums) {
		summed = append(summed, strings.Fields(line)[1])
	}
	slices.Sort(want)
	if slices.Sort(summed); !slices.Equal(summed, want) {
		t.Errorf("there are checksums of\n%v\nnot of\n%v", summed, want)
	}
	for _, file := range archives {
		t.Run(filepath.Base(file), func(t *testing.T) { lookIntoArchive(t, file) })
	}
	for _, role := range []string{"edge", "vps"} {
		for _, platform := range []string{"amd64", "arm64", "arm/v7", "arm/v6"} {
			t.Run("the image of the "+role+" for "+platform, func(t *testing.T) { lookAtImage(t, e.of(t), role, platform, commit) })
		}
	}
}

// lookIntoArchive looks into an archive and its bill of materials.
func lookIntoArchive(t *testing.T, file string) {
	files, err := unpack(file)
	if err != nil {
		t.Fatal(err)
	}
	program := "sunspool"
	if strings.HasSuffix(file, ".zip") {
		program += ".exe"
	}
	want := []string{program, "README.md", "LICENSE", "THIRD-PARTY-LICENCES", "Caddyfile", "edge.env", "vps.env", "alerts.yml", "man/sunspool.1.gz", "man/sunspool-edge.8.gz",
		"man/sunspool-vps.8.gz", "man/sunspool.env.5.gz", "completion/completion.bash", "completion/completion.zsh", "completion/completion.fish", "completion/completion.powershell"}
	for _, name := range want {
		if len(files[name]) == 0 {
			t.Errorf("%s is not in it, or empty", name)
		}
		delete(files, name)
	}
	for name := range files {
		t.Errorf("%s is in it", name)
	}

	var bill struct {
		SPDX     string `json:"spdxVersion"`
		Packages []struct{ Name, VersionInfo string }
	}
	if err := json.Unmarshal(must(os.ReadFile(file+".sbom.json")), &bill); err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"go.etcd.io/bbolt", "github.com/jackc/pgx/v5", "stdlib"} {
		if !slices.ContainsFunc(bill.Packages, func(p struct{ Name, VersionInfo string }) bool {
			return p.Name == module && p.VersionInfo != ""
		}) {
			t.Errorf("its bill of materials (%s, %d packages) has no version of %s", bill.SPDX, len(bill.Packages), module)
		}
	}
}

// unpack returns the files of an archive by their names below its one folder.
func unpack(file string) (map[string][]byte, error) {
	packed, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	keep := func(name string, r io.Reader) error {
		folder, rest, _ := strings.Cut(path.Clean(name), "/")
		if !strings.HasPrefix(folder, "sunspool_") {
			return fmt.Errorf("%s is beside the folder of %s", name, file)
		}
		files[rest], err = io.ReadAll(r)
		return err
	}
	if strings.HasSuffix(file, ".zip") {
		z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
		if err != nil {
			return nil, err
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			if err := errors.Join(keep(f.Name, r), r.Close()); err != nil {
				return nil, err
			}
		}
		return files, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		switch {
		case err == io.EOF:
			return files, nil
		case err != nil:
			return nil, err
		case head.Typeflag == tar.TypeReg:
			if err := keep(head.Name, r); err != nil {
				return nil, err
			}
		}
	}
}

// lookAtImage looks at an image. A snapshot has one for each platform, which a push would join under one name.
func lookAtImage(t *testing.T, e *engine, role, platform, commit string) {
	images := strings.Fields(e.docker("image", "ls", "--filter", "reference=sunspool/sunspool-"+role+":latest-*", "--format", "{{.Repository}}:{{.Tag}}"))
	i := slices.IndexFunc(images, func(image string) bool {
		return e.docker("image", "inspect", "--format", `{{.Architecture}}{{with .Variant}}/{{.}}{{end}}`, image) == platform
	})
	if i < 0 {
		t.Fatalf("none of %v is for %s", images, platform)
	}
	got := e.docker("image", "inspect", "--format", `{{.Os}} {{.Config.User}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{index .Config.Labels "org.opencontainers.image.revision"}}`, images[i])
	if want := "linux 65532:65532 [/sunspool] [" + role + "] " + commit; got != want {
		t.Errorf("it is %q, not %q", got, want)
	}
	if platform == "amd64" {
		if said := e.docker("run", "--rm", images[i], "version"); !strings.HasPrefix(said, "sunspool ") {
			t.Errorf("its program says %q", said)
		}
	}
}
