package vps

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/wire"
)

const hexToken = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// A viewer of several devices reads each of them, and nothing else.
func TestAViewerMayReadSeveralDevices(t *testing.T) {
	b := newVillage(t)
	if err := b.Tokens.Replace(token1+":roof,"+token2+":barn,"+token1b+":shed", viewer1+":shed + roof+roof"); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{
		wire.RealtimePath + "?device_id=roof": 200, wire.SeriesPath + "?device_id=roof&frame=day": 200, wire.ExportPath + "?device_id=roof": 200,
		wire.EnergyPath + "?device_id=shed": 200, wire.DevicesPath + "?device_id=shed": 200,
		wire.RealtimePath + "?device_id=barn": 403, wire.DevicesPath + "?device_id=barn": 403, wire.SeriesPath + "?device_id=*&frame=day": 403,
		wire.RealtimePath + "?device_id=roof%2Bshed": 403, wire.RealtimePath + "?device_id=": 403, wire.ExportPath + "?device_id=roof+shed": 403,
	} {
		if w := b.get(target, viewer1); w.Code != want {
			t.Errorf("%s: %d %.200s, want %d", target, w.Code, w.Body, want)
		}
	}
	if w := b.post(viewer1, roofs("")); w.Code != 403 {
		t.Errorf("it writes: %d", w.Code)
	}
	names := func(query string) (ids []string, after *string) {
		answer := decodeJSON[devicesAnswer](t, b.get(wire.DevicesPath+query, viewer1))
		for _, d := range answer.Devices {
			ids = append(ids, d.ID)
		}
		return ids, answer.After
	}
	if all, after := names(""); !slices.Equal(all, []string{"roof", "shed"}) || after != nil {
		t.Errorf("it sees %v, %v", all, after)
	}
	if page, after := names("?limit=1"); !slices.Equal(page, []string{"roof"}) || after == nil {
		t.Errorf("its first page is %v, %v", page, after)
	}
	if page, after := names("?limit=1&after=roof"); !slices.Equal(page, []string{"shed"}) || after != nil {
		t.Errorf("its second page is %v, %v", page, after)
	}
}

// The same devices in another order are the same viewer: its token may stand in two places while it is moved.
func TestTheOrderOfAViewersDevicesMeansNothing(t *testing.T) {
	if _, err := ParseTokens(token1+":roof", viewer1+":a+b,"+viewer1+":b+a"); err != nil {
		t.Error(err)
	}
	_, err := ParseTokens(token1+":roof", viewer1+":a,"+viewer1+":b")
	if err == nil || !strings.Contains(err.Error(), "DEVICE+DEVICE") {
		t.Errorf("one token for two devices: %v", err)
	}
	for _, bad := range []string{"a+", "+a", "a++b", "a+*", "*+a", "+", "a+b c", "a,+b"} {
		if _, err := ParseTokens(token1+":roof", viewer1+":"+bad); err == nil {
			t.Errorf("a viewer of %q", bad)
		}
	}
	if _, err := ParseTokens(token1+":roof+barn", ""); err == nil {
		t.Error("one token may send for two devices")
	}
}

// Whoever writes DEVICE:TOKEN is told so, and the token is not repeated; long names and hashes included. What is right
// is not taken for turned round.
func TestEntriesThatAreTurnedRoundAreNamed(t *testing.T) {
	for _, c := range []struct{ devices, viewers string }{
		{"roof:" + hexToken, ""}, {"roof:" + hexToken[:32], ""}, {"roof: secret-0123456789abcdef", ""}, {"roof:sha256:" + hexToken, ""},
		{"192.168.1.100:" + hexToken, ""}, {"the-inverter-on-the-roof:" + hexToken, ""}, {"the-inverter-on-the-roof:sha256:" + hexToken, ""},
		{"roof:Zm9vYmFyYmF6cXV4Zm9vYmFy/+==", ""}, {"A2212345678:" + hexToken, ""}, {"deadbeef:" + hexToken, ""},
		{token1 + ":roof", "roof:" + hexToken}, {token1 + ":roof", "*:" + hexToken}, {token1 + ":roof", "roof+barn:" + hexToken},
	} {
		_, err := ParseTokens(c.devices, c.viewers)
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || !strings.Contains(fault.Why, "write TOKEN:DEVICE") || fault.Exit != health.ExitConfig {
			t.Errorf("%v: %v", c, err)
		} else if said := fmt.Sprintf("%v %+v", err, *fault); strings.Contains(said, hexToken[:32]) || strings.Contains(said, "secret") || strings.Contains(said, "Zm9v") {
			t.Errorf("the error quotes the token: %v", err)
		}
	}
	for _, good := range []string{
		hexToken + ":roof", "sha256:" + hexToken + ":roof", "sha256:" + hexToken + ":the-inverter-on-the-roof", "a-token-of-16-chars:the-inverter-on-the-roof",
		hexToken + ":" + hexToken, "a-token-of-16-chars:" + hexToken[:32],
	} {
		if _, err := ParseTokens(good, ""); err != nil {
			t.Errorf("%s: %v", good, err)
		}
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
	for token, want := range map[string]caller{"kitchen-0123456789abcdef": {"barn+roof", true}, "credential-0123456789": {"*", true}, viewer1: {"roof", true}, token1: {"roof", false}} {
		if who, known := tokens.find(token); !known || who != want {
			t.Errorf("%s is %v %v, want %v", token, who, known, want)
		}
	}
	write(file, "hall-0123456789abcdef:roof\n", 0o600)
	if err := c.readTokens(tokens); err != nil {
		t.Fatal(err)
	}
	if _, known := tokens.find("kitchen-0123456789abcdef"); known {
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
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can write where a container has its secrets; settings has a test of the rule itself")
	}
	if err := os.MkdirAll("/run/secrets", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove("/run/secrets") }) // if it is empty, as before
	mount, err := os.MkdirTemp("/run/secrets", "test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(mount) })
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
		if _, known := tokens.find(viewer1); !known {
			t.Errorf("mode %v: the viewer is not known", mode)
		}
	}
}

// A device is described alike to a viewer of several and to one of all.
func TestDevicesAreDescribedAlikeToEveryViewer(t *testing.T) {
	b := newVillage(t)
	if err := b.Tokens.Replace(token1+":roof,"+token2+":barn", viewer1+":roof+barn,"+viewerAll+":*"); err != nil {
		t.Fatal(err)
	}
	lines := func(token string) (all []json.RawMessage) {
		return decodeJSON[struct {
			Devices []json.RawMessage `json:"devices"`
		}](t, b.get(wire.DevicesPath, token)).Devices
	}
	every, named := lines(viewerAll), lines(viewer1)
	if len(named) != 2 {
		t.Fatalf("%d devices", len(named))
	}
	for i := range named {
		if string(named[i]) != string(every[i]) {
			t.Errorf("named it is\n%s, as one of all\n%s", named[i], every[i])
		}
	}
}
