package doctor

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sunspool/health"
)

// unpacked are the files of a bundle by name.
func unpacked(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for archive := tar.NewReader(plain); ; {
		head, err := archive.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		all[head.Name] = string(text)
	}
}

// Secrets and serial numbers are planted wherever the doctor looks; none of them is in the bundle, whatever form it has.
func TestTheBundleHasNoSecret(t *testing.T) {
	const (
		proxyPassword = "hunter2:@/%&x"
		dbPassword    = "geheim&grün/7"
		viewer        = "ssv_fedcba9876543210fedcba9876543210fedcba98"
		ownToken      = "my own token, not of ours 4711"
		plainToken    = "abcdefghij0123456789abcdefghij"
		credential    = "credential-0123456789abcdef"
		running       = "running-0123456789abcdef"
		fromFile      = "from-file-0123456789abcdef"
		pairing       = "K7F3-9Q2D-5TXA-M1WE-8GZC-11AA-22BB-33CC"
		shortPairing  = "K7F3-9Q2D-5TXA-M1WE"
		serial        = "A2290000417"
		otherSerial   = "B21C1234567"
		oddSerial     = "XYZ-77-12"
		unknown       = "value-of-a-variable-that-is-no-setting"
		comment       = "a-secret-in-a-comment-0815"
		wordPassword  = "of-a-string-of-words-4712"
	)
	p := withVPS(t).socket(200, liveRoof)
	p.serve(nil)
	proxy := "http://roof:" + url.QueryEscape(proxyPassword) + "@192.0.2.3:3128"
	p.env["HTTPS_PROXY"], p.env["NO_PROXY"] = proxy, "*" // which this process takes for all of its tests
	p.env["SUNGROW_SERIAL"], p.env["MY_OWN_THING"], p.env["VPS_DEVICE_TOKEN_OLD"] = serial, unknown, ownToken
	p.env["MY_DATABASE"] = "host=127.0.0.1 user=x password=" + wordPassword + " dbname=y"
	p.vpsEnv["DATABASE_URL"] = "postgres://sun:" + url.QueryEscape(dbPassword) + "@127.0.0.1/sunspool"
	p.vpsEnv["REDIS_URL"] = "redis://:" + plainToken + "@127.0.0.1:1/0"
	p.vpsEnv["DEVICE_TOKENS"], p.vpsEnv["VIEWER_TOKENS"] = deviceToken+":roof,"+plainToken+"x:barn", viewer+":*"
	p.vpsEnv["DEVICE_TOKENS_FILE"] = filepath.Join(p.machine.Root, "tokens")
	p.write("/etc/sunspool/credentials/vps-device-token", credential+"\n")
	p.write("/run/credentials/sunspool-edge.service/vps-device-token", running+"\n")
	p.prepare()
	p.write("/etc/sunspool/edge.env", "# "+comment+"\n"+string(must(os.ReadFile(filepath.Join(p.machine.Root, "etc/sunspool/edge.env")))))
	os.WriteFile(p.vpsEnv["DEVICE_TOKENS_FILE"], []byte(fromFile+":shed\n"), 0o600)
	secrets := []string{proxyPassword, dbPassword, viewer, ownToken, plainToken, credential, running, fromFile, pairing, shortPairing, serial, otherSerial, oddSerial, unknown, comment, wordPassword, deviceToken,
		strings.ReplaceAll(pairing, "-", "")}
	for _, s := range slices.Clone(secrets) {
		secrets = append(secrets, url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(s, "&", `\u0026`))
	}
	secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte("roof:"+proxyPassword)))
	var log strings.Builder
	for _, s := range secrets {
		switch s {
		case unknown, comment, ownToken, oddSerial, strings.ReplaceAll(pairing, "-", ""):
			continue // in the settings alone, or known by its place there
		}
		log.WriteString(`Nov 30 22:00:00 pi sunspool[1]: {"level":"INFO","msg":"request of ` + s + ` and '` + s + `'"}` + "\n")
	}
	log.WriteString("curl -H 'Authorization: Bearer " + "zzzz-not-known-0123456789" + "' https://x/?token=zzzz-not-known-0123456789#t=zzzz-not-known-0123456789\n")
	log.WriteString("sudo sunspool setup --pair " + strings.ReplaceAll(pairing, "-", "") + " postgres://u:zzzz-not-known-0123456789@h/d\n-----BEGIN PRIVATE KEY-----\nzzzz-not-known-0123456789\n-----END PRIVATE KEY-----\n")
	secrets = append(secrets, "zzzz-not-known-0123456789")
	p.journal = log.String()
	p.health.Serial, p.health.Sentence = oddSerial, "inverter "+serial+" answers instead of "+otherSerial+", token "+viewer
	p.health.Reasons, p.health.Reason, p.health.Status = []string{"inverter_changed"}, "inverter_changed", "blocked"
	p.env["SUNGROW_SERIAL"] = serial
	p.health.Unknown = map[string]string{"load_power_w": "see https://sun.example.org/#t=" + viewer}
	text := must(os.ReadFile(filepath.Join(p.machine.Root, "etc/sunspool/edge.env")))
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	var out strings.Builder
	p.prepare()
	p.write("/etc/sunspool/edge.env", string(text))
	err := Doctor{Version: "1.2.3", Out: &out, Machine: p.machine}.Do(t.Context(), Config{Bundle: file})
	if f, ok := errors.AsType[*health.Fault](err); err != nil && (!ok || f.Code == "file_not_written") {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	files := unpacked(t, file)
	for name, text := range files {
		for _, secret := range secrets {
			if strings.Contains(name+text, secret) {
				at := strings.Index(text, secret)
				t.Errorf("%s has %q: ...%s", name, secret, text[max(at-60, 0):min(at+60, len(text))])
			}
		}
	}
	for _, want := range []string{"contents.txt", "doctor.txt", "doctor.json", "versions.txt", "settings/sunspool-edge.txt", "settings/sunspool-vps.txt", "journal/sunspool-edge.txt", "health/roof.json", "health/vps.json"} {
		if files["sunspool-doctor/"+want] == "" {
			t.Errorf("%s is missing", want)
		}
		if want != "contents.txt" && !strings.Contains(files["sunspool-doctor/contents.txt"], want) || !strings.Contains(out.String(), want) {
			t.Errorf("%s is not listed", want)
		}
	}
	settings := files["sunspool-doctor/settings/sunspool-edge.txt"]
	for _, want := range []string{"SUNGROW_HOST=192.0.2.7", "HTTPS_PROXY=(secret)", "VPS_DEVICE_TOKEN=(secret)", "MY_OWN_THING=(not a setting: not shown)", "SUNGROW_SERIAL=A22…417"} {
		if !strings.Contains(settings, want) {
			t.Errorf("%q is missing in\n%s", want, settings)
		}
	}
	if journal := files["sunspool-doctor/journal/sunspool-edge.txt"]; strings.Count(journal, "request of") < 10 {
		t.Errorf("of the journal remains\n%s", journal)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestABundleIsNotWrittenOverAFile(t *testing.T) {
	p := newPatient(t)
	p.prepare()
	file := filepath.Join(t.TempDir(), "mine")
	os.WriteFile(file, []byte("mine"), 0o644)
	err := Doctor{Out: io.Discard, Machine: p.machine}.Do(t.Context(), Config{Bundle: file})
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "file_not_written" || string(must(os.ReadFile(file))) != "mine" {
		t.Errorf("%v", err)
	}
}

// What is no secret stays readable.
func TestWordsAreNotMasked(t *testing.T) {
	m := (&examination{Machine: newPatient(t).machine}).newMasker()
	for _, text := range []string{
		"the server does not know the token: it answered 401", "2026-11-30T22:10:49Z", "sha256:abcdef", "https://solar.example.org/v1/ingest", "192.168.1.100:502",
		"3f2b8c1e-1a2b-4c3d-9e8f-001122334455", "VPS_DEVICE_TOKEN_FILE=/etc/token", `"next":"sudo sunspool vps pair"`, "SH10RT", "A22…417", "sunspool-edge@garage.service",
	} {
		if got := m.mask(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

// A settings file that nobody can read as one has its secrets all the same.
func TestSecretsOfABrokenFileAreKnown(t *testing.T) {
	p := newPatient(t)
	p.write("/etc/sunspool/edge.env", "export VPS_DEVICE_TOKEN='my-own-token-4711'\nthis is no setting\n")
	e := examination{Machine: p.machine, services: p.machine.services(t.Context())}
	if got := e.newMasker().mask("it was my-own-token-4711 that"); got != "it was (secret) that" {
		t.Errorf("%q", got)
	}
}
