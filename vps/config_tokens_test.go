package vps

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/internal/testhost"
	"sunspool/vps/auth"
)

func TestTokenFilesOfOthersAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	os.WriteFile(file, []byte("from-file-0123456789:inv-1\n"), 0o600)
	credentials := t.TempDir()
	os.WriteFile(filepath.Join(credentials, "device-tokens"), []byte("from-credential-0123456789:inv-1"), 0o440)
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)

	c := Config{DeviceTokens: "from-env-0123456789:inv-1", DeviceTokensFile: file}
	tokens, err := c.tokens()
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"from-env-0123456789", "from-file-0123456789", "from-credential-0123456789"} {
		if _, known := tokens.Find(token, testNow); !known {
			t.Errorf("%s is not known", token)
		}
	}
	os.Chmod(file, 0o644)
	if _, err := c.tokens(); err == nil || !strings.Contains(err.Error(), "0644") {
		t.Errorf("a file that everybody can read: %v", err)
	}
}

// VIEWER_TOKENS_FILE and the credential beside it are read as those of devices are, again at a reload too.
func TestViewersMayStandInAFile(t *testing.T) {
	dir := t.TempDir()
	file, credentials := filepath.Join(dir, "viewers"), t.TempDir()
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "# the kitchen\nkitchen-0123456789abcdef:roof+barn\n", 0o600)
	write(filepath.Join(credentials, "viewer-tokens"), "credential-0123456789:*\n", 0o440)
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	t.Setenv("VIEWER_TOKENS_FILE", file)
	t.Setenv("DEVICE_TOKENS", token1+":roof")
	t.Setenv("VIEWER_TOKENS", viewer1+":roof")
	c, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := c.tokens()
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]auth.Caller{"kitchen-0123456789abcdef": {Device: "barn+roof", Viewer: true}, "credential-0123456789": {Device: "*", Viewer: true}, viewer1: {Device: "roof", Viewer: true}, token1: {Device: "roof", Viewer: false}} {
		if who, known := tokens.Find(token, testNow); !known || who != want {
			t.Errorf("%s is %v %v, want %v", token, who, known, want)
		}
	}
	write(file, "hall-0123456789abcdef:roof\n", 0o600)
	if err := c.readTokens(tokens); err != nil {
		t.Fatal(err)
	}
	if _, known := tokens.Find("kitchen-0123456789abcdef", testNow); known {
		t.Error("a viewer that was removed may still read")
	}

	// A path with what a shell would not take as one word comes back as one that can be pasted.
	strange := filepath.Join(dir, "it's a file")
	write(strange, "hall-0123456789abcdef:roof\n", 0o644)
	c.ViewerTokensFile = strange
	fault, ok := errors.AsType[*health.Fault](c.readTokens(tokens))
	if want := "chmod 600 '" + dir + `/it'\''s a file'`; !ok || fault.Next != want || !strings.Contains(fault.What, "VIEWER_TOKENS_FILE "+strange+" has mode 0644") {
		t.Errorf("%+v, want next %s", fault, want)
	}
	if fault, ok := errors.AsType[*health.Fault](c.Validate()); !ok || !strings.HasPrefix(fault.Next, "chmod 600 '") {
		t.Errorf("as the only thing that is wrong: %+v", fault)
	}
	c.ViewerTokensFile = filepath.Join(dir, "nowhere")
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "VIEWER_TOKENS_FILE") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// The mount that a container's secrets are in: as Docker makes them, and as Kubernetes does, by links.
func TestTokensMayBeSecretsOfAContainer(t *testing.T) {
	mount := testhost.ContainerSecrets(t)
	links := errors.Join(os.Chmod(mount, 0o755), os.Mkdir(filepath.Join(mount, "..2026"), 0o755), os.Symlink("..2026", filepath.Join(mount, "..data")),
		os.Symlink("..data/devices", filepath.Join(mount, "devices")), os.Symlink("..data/viewers", filepath.Join(mount, "viewers")),
		os.WriteFile(filepath.Join(mount, "..2026/devices"), []byte(token1+":roof"), 0o600), os.WriteFile(filepath.Join(mount, "..2026/viewers"), []byte(viewer1+":*"), 0o600))
	if links != nil {
		t.Fatal(links)
	}
	for mode, good := range map[os.FileMode]bool{0o400: true, 0o440: true, 0o444: true, 0o644: true, 0o664: false, 0o666: false, 0o755: false} {
		for _, name := range []string{"devices", "viewers"} {
			if err := os.Chmod(filepath.Join(mount, name), mode); err != nil {
				t.Fatal(err)
			}
		}
		c := Config{DeviceTokensFile: filepath.Join(mount, "devices"), ViewerTokensFile: filepath.Join(mount, "viewers")}
		tokens, err := c.tokens()
		if (err == nil) != good {
			t.Errorf("mode %v: %v", mode, err)
		}
		if err != nil {
			continue
		}
		if _, known := tokens.Find(viewer1, testNow); !known {
			t.Errorf("mode %v: the viewer is not known", mode)
		}
	}
}
