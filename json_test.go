package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sunspool/internal/answer"
)

// forPeopleAlone are the commands whose answers are for people alone, and those that are services, or print a language of their own.
var forPeopleAlone = []string{"demo", "edge", "vps run", "vps import", "simulate", "setup", "service", "help", "completion", "complete", "__complete", "man", "export", "spool export"}

// Every command that answers something does so in JSON when it is asked for that.
func TestEveryCommandThatAnswersHasJSON(t *testing.T) {
	line := new(commands).line()
	for _, c := range line.Commands(line.Root) {
		name := strings.TrimPrefix(c.CommandPath(), "sunspool ")
		has := false
		for _, f := range line.Flags(c) {
			has = has || f.Name == "json"
		}
		if want := !c.HasSubCommands() && !slices.Contains(forPeopleAlone, name); want != has {
			t.Errorf("sunspool %s: --json is there: %v, want %v", name, has, want)
		}
	}
}

// What a command answers as JSON is one document, and so is what goes wrong: on standard error, with the exit status in it.
func TestAnswersAndFailuresAreOneDocument(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"SPOOL_PATH", "DEVICE_ID", "STATUS_SOCKET", "SUNGROW_HOST", "DEVICE_TOKENS", "HEALTH_PATH"} {
		t.Setenv(name, "")
	}
	t.Setenv("DATA_DIR", dir)
	t.Setenv("LISTEN_ADDR", "127.0.0.1:1")
	none := filepath.Join(dir, "none")
	for line, code := range map[string]string{
		"version --json":                       "",
		"env --json":                           "",
		"check vps --json --explain":           "config_invalid",
		"health vps --json":                    "unhealthy",
		"spool count --json " + none:           "no_spool",
		"spool list --json " + none:            "no_spool",
		"spool verify --json " + none:          "no_spool",
		"spool requeue --json " + none:         "usage",
		"spool drop --json --all " + none:      "not_confirmed",
		"spool quarantine " + none + " --json": "no_spool",
		"site set home --device a --json":      "no_server",
		"site remove home --json":              "no_server",
		"token revoke x --json":                "no_server",
		"vps verify --json " + none:            "backup_not_read",
		"vps backup - --json":                  "usage",
		"vps fingerprint --json":               "no_authority",
		"vps link nowhere --json":              "usage",
		"vps aside delete roof --json":         "store_missing",
		"token list --json --nope":             "usage",
		"nope --json":                          "usage",
	} {
		var out, errs bytes.Buffer
		exit := run(t.Context(), strings.Fields(line), &out, &errs)
		if out.Len() > 0 && !json.Valid(out.Bytes()) {
			t.Errorf("sunspool %s answers %s", line, &out)
		}
		if code == "" {
			if exit != 0 || out.Len() == 0 || errs.Len() > 0 {
				t.Errorf("sunspool %s: exit status %d, %s", line, exit, &errs)
			}
			continue
		}
		var failure answer.Failure
		if err := json.Unmarshal(errs.Bytes(), &failure); err != nil || failure.Error.Code != code || failure.Error.Exit != exit || failure.Error.What == "" || failure.Error.Next == nil {
			t.Errorf("sunspool %s: exit status %d, want %s: %v, %s", line, exit, code, err, &errs)
		}
	}
}

// The link of a token is drawn where it is asked for, and needs an address.
func TestTokenIsDrawnOnlyWithAnAddress(t *testing.T) {
	t.Setenv("DATA_DIR", t.TempDir())
	for line, want := range map[string]string{
		"token create --role viewer --device * --name Family --qr":                                     "there is no link to draw",
		"token create --role device --device roof --name Edge --url https://s.example.org --qr":        "there is no link to draw",
		"token create --role viewer --device * --name Family --url https://solar.example.org --qr":     "no vps of this machine answers",
		"export --from 2026-01-01 --to 2026-01-31 --device roof --site home":                           "--device and --site are two questions",
		"export --from 2026-01-01 --to 2026-01-31 --server http://solar.example.org --token-file nope": "--server must be an https address",
	} {
		var out, errs bytes.Buffer
		if exit := run(t.Context(), strings.Fields(line), &out, &errs); exit == 0 || !strings.Contains(errs.String(), want) {
			t.Errorf("sunspool %s: exit status %d, %s", line, exit, &errs)
		}
	}
}
