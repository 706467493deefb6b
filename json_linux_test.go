package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"sunspool/settings"
)

// inJSON are lines that print JSON, by command: one at least for each that can.
var inJSON = map[string][]string{
	"status":           {"status --json"},
	"probe":            {"probe INVERTER --repeat=1 --registers --json"},
	"doctor":           {"doctor --json"},
	"spool quarantine": {"spool quarantine refused.db --json"},
	"vps pair":         {"vps pair --json", "vps pair --device=garage --url=https://solar.example.org --json"},
	"vps aside list":   {"vps aside list roof --json"},
	"vps copy":         {"vps copy --from=backup.db --to=copy --json"},
	"token create":     {"token create --role=viewer --device=* --name=Family --json", "token create --role=admin --name=Installer --url=https://solar.example.org --json"},
	"token list":       {"token list --json"},
	"site list":        {"site list --json"},
	"site set":         {"site set shed --device=roof --json"},
	"site remove":      {"site remove gone --json"},
	"token revoke":     {"token revoke Gone --json"},
	"vps aside delete": {"vps aside delete barn --json"},
	"vps backup":       {"vps backup again.db --json"},
	"vps verify":       {"vps verify backup.db --json"},
	"vps restore":      {"vps restore backup.db --data-dir=restored --json"},
	"vps fingerprint":  {"vps fingerprint --json"},
	"vps link":         {"vps link https://solar.example.org --viewer-tokens-file=viewers --json"},
	"version":          {"version --json"},
	"env":              {"env --json", "env vps --json"},
	"health":           {"health edge --json"},
	"check":            {"check vps --json", "check vps --explain --online --json"},
	"spool list":       {"spool list --json", "spool list refused.db --json"},
	"spool count":      {"spool count --json"},
	"spool show":       {"spool show refused.db --quarantine --json"},
	"spool verify":     {"spool verify --json"},
	"spool requeue":    {"spool requeue refused.db --number=99 --json"},
	"spool drop":       {"spool drop refused.db --number=99 --yes --json"},
}

// prepared are lines that make what others need.
var prepared = []string{"site set gone --device=roof", "token create --role=viewer --device=* --name=Gone"}

// What commands print for programs is as docs/command-json.yaml has it, field by field.
func (h *household) printsAsDocumented(t *testing.T) {
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	document, err := loader.LoadFromFile("docs/command-json.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil && !strings.Contains(err.Error(), "paths") && !strings.Contains(err.Error(), "identifier") {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "viewers"), []byte("v1-0123456789abcdef:*\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, typed := range prepared {
		if text, exit := byProgram.typed(t, h.dir, h.env(), strings.Fields(typed)...); exit != 0 {
			t.Fatalf("sunspool %s exits %d: %s", typed, exit, text)
		}
	}
	line := new(commands).line()
	all := visible(line)
	for words, c := range all {
		if !slices.ContainsFunc(line.Flags(c), func(f *settings.Setting) bool { return f.Name == "json" }) {
			continue
		}
		schema := document.Components.Schemas[words]
		if schema == nil || inJSON[words] == nil {
			t.Errorf("sunspool %s --json: there is a schema in docs/command-json.yaml: %v; typed by this test: %q", words, schema != nil, inJSON[words])
			continue
		}
		for _, typed := range inJSON[words] {
			text, exit := byProgram.typed(t, h.dir, h.env(), strings.Fields(strings.ReplaceAll(typed, "INVERTER", h.other(t)))...)
			values := 0
			for d := json.NewDecoder(strings.NewReader(text)); ; values++ {
				var value any
				if err := d.Decode(&value); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("sunspool %s: %v: %s", typed, err, text)
				}
				if err := schema.Value.VisitJSON(value); err != nil {
					t.Errorf("sunspool %s: %v", typed, err)
				}
			}
			if values == 0 || exit != 0 && words != "doctor" { // which has much to say of a machine that is not set up
				t.Errorf("sunspool %s exits %d and prints %s", typed, exit, text)
			}
		}
	}
	for name, schema := range document.Components.Schemas {
		if name == strings.ToLower(name) && all[name] == nil {
			t.Errorf("docs/command-json.yaml has %q, which is no command", name)
		}
		if schema.Value.Type.Is("object") && len(schema.Value.Properties) > 0 && (schema.Value.AdditionalProperties.Has == nil || *schema.Value.AdditionalProperties.Has) {
			t.Errorf("docs/command-json.yaml: %s is not closed", name)
		}
	}
}
