package reference

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// The pages of docs/api*.md with the operations of openapi.yaml that they describe.
var apiPages = map[string][]string{
	"api.md":        {"session", "login", "logout", "root", "openapi", "health", "ready"},
	"api-write.md":  {"ingest"},
	"api-now.md":    {"realtime", "stream", "devices", "sites"},
	"api-series.md": {"series", "export"},
	"api-tokens.md": {"tokens", "create_token", "revoke_token", "pair", "backup"},
	"api-energy.md": {"energy", "peaks", "capacity", "continuity"},
}

// Paths, parameters, fields and refusals in docs/api*.md are those of openapi.yaml, which tests of the server compare with its
// handlers.
func TestAPIReference(t *testing.T) {
	d := openAPI(t)
	pages := map[string]string{}
	for page, ids := range apiPages {
		for _, id := range ids {
			pages[id] = page
		}
	}
	var list strings.Builder
	list.WriteString("| endpoint | purpose |\n|---|---|\n")
	for _, o := range d.operations() {
		page := pages[o.OperationID]
		if page == "" {
			t.Errorf("%s %s is on no page of docs/api*.md", o.method, o.path)
			continue
		}
		delete(pages, o.OperationID)
		if !exemplified(t, page, o) {
			t.Errorf("docs/%s has no curl command for %s %s", page, o.method, o.path)
		}
		fmt.Fprintf(&list, "| [`%s %s`](%s) | %s |\n", o.method, o.path, strings.TrimPrefix(page+"#"+anchor(o.method+" "+o.path), "api.md"), cell(o.Summary))
		Section(t, page, o.OperationID, d.request(o))
		if fields := d.answer(o); fields != "" {
			Section(t, page, o.OperationID+" answer", fields)
		}
		if refusals := d.refusals(o); refusals != "" {
			Section(t, page, o.OperationID+" errors", refusals)
		}
	}
	for id, page := range pages {
		t.Errorf("%s has %s, which openapi.yaml does not have", page, id)
	}
	Section(t, "api.md", "endpoints", list.String())
	Section(t, "api.md", "errors", d.codes(t))
}

// exemplified reports whether a command of a page sends a request of an operation.
func exemplified(t *testing.T, page string, o operation) bool {
	whole, err := os.ReadFile(filepath.Join(docs(t), page))
	if err != nil {
		t.Fatal(err)
	}
	path, _, _ := strings.Cut(o.path, "{")
	for _, shown := range example.FindAllStringSubmatch(string(whole), -1) {
		if c, err := parseCurl(shown[1], map[string]string{"VIEWER_TOKEN": "", "DEVICE_TOKEN": "", "ADMIN_TOKEN": ""}); err == nil && c.method == o.method {
			if u, err := url.Parse(c.url); err == nil && (u.Path == o.path || path != o.path && strings.HasPrefix(u.Path, path)) {
				return true
			}
		}
	}
	return false
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '_' || r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// document is openapi.yaml.
type document struct{ *openapi3.T }

// openAPI is the one openapi.yaml of this repository.
func openAPI(t *testing.T) document {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root(t), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != root(t) {
			return fs.SkipDir
		}
		if e != nil && e.Name() == "openapi.yaml" {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("openapi.yaml: %v %v", found, err)
	}
	d, err := openapi3.NewLoader().LoadFromFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return document{d}
}

// operation is a method of a path.
type operation struct {
	method, path string
	*openapi3.Operation
}

// operations are all of them, in the order of apiPages.
func (d document) operations() (all []operation) {
	for path, item := range d.Paths.Map() {
		for method, o := range item.Operations() {
			all = append(all, operation{method, path, o})
		}
	}
	order := slices.Concat(apiPages["api-write.md"], apiPages["api-now.md"], apiPages["api-series.md"],
		apiPages["api-energy.md"], apiPages["api-tokens.md"], apiPages["api.md"])
	slices.SortFunc(all, func(a, b operation) int {
		return slices.Index(order, a.OperationID) - slices.Index(order, b.OperationID)
	})
	return all
}

// request is the sentence of an operation, its path, and its parameters.
func (d document) request(o operation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n\n```\n%s %s\n```\n", o.Summary, o.method, o.path)
	if len(o.Parameters) > 0 {
		b.WriteString("\n| parameter | type | default | meaning |\n|---|---|---|---|\n")
	}
	for _, ref := range o.Parameters {
		p := ref.Value
		name := "`" + p.Name + "`"
		if p.In != openapi3.ParameterInQuery {
			name += ", in the " + p.In
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, typeOf(p.Schema), absent(p), cell(p.Description))
	}
	if o.RequestBody == nil {
		return b.String()
	}
	fmt.Fprintf(&b, "\nBody: JSON, %s.\n\n| field | type | default | meaning |\n|---|---|---|---|\n", o.RequestBody.Value.Description)
	for _, f := range fieldsOf(o.RequestBody.Value.Content.Get("application/json").Schema, "") {
		without := defaultOf(f.schema.Value)
		if f.required {
			without = "required"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, typeOf(f.schema), without, cell(f.meaning()))
	}
	return b.String()
}

// absent is what holds where a parameter is not given.
func absent(p *openapi3.Parameter) string {
	if p.Required {
		return "required"
	}
	if text, ok := p.Extensions["x-default"].(string); ok {
		return text
	}
	return defaultOf(p.Schema.Value)
}

func defaultOf(s *openapi3.Schema) string {
	switch v := s.Default.(type) {
	case nil:
		return ""
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, fmt.Sprint(item))
		}
		return "`" + strings.Join(all, ",") + "`"
	default:
		return fmt.Sprintf("`%v`", v)
	}
}

// answer is the fields of an answer 200 in JSON, or of events; of several shapes each has a table.
func (d document) answer(o operation) string {
	content := o.Responses.Status(200).Value.Content
	if media := content.Get("text/event-stream"); media != nil {
		return d.events(media.Extensions["x-events"].(map[string]any))
	}
	media := content["application/json"]
	if media == nil {
		return ""
	}
	shapes := []*openapi3.SchemaRef(media.Schema.Value.OneOf)
	if shapes == nil {
		shapes = []*openapi3.SchemaRef{media.Schema}
	}
	var all []string
	for _, shape := range shapes {
		table := "| field | type | meaning |\n|---|---|---|\n"
		fields := fieldsOf(shape, "")
		if len(fields) == 1 {
			continue // {"status":"ok"}
		}
		for _, f := range fields {
			table += fmt.Sprintf("| `%s` | %s | %s |\n", f.name, typeOf(f.schema)+f.maybe(), cell(f.meaning()))
		}
		if shape.Value.Description != "" {
			table = shape.Value.Description + ":\n\n" + table
		}
		all = append(all, table)
	}
	return strings.Join(all, "\n")
}

// events is the fields of the data of each event.
func (d document) events(schemas map[string]any) string {
	var b strings.Builder
	b.WriteString("| event | field of `data` | type | meaning |\n|---|---|---|---|\n")
	for _, name := range []string{"hello", "sample", "late", "site", "today", "state", "bye"} {
		ref := schemas[name].(string)
		if name == "late" && ref == schemas["sample"] {
			b.WriteString("| `late` | | | as `sample` |\n")
			continue
		}
		if strings.HasSuffix(ref, "/SiteRealtime") {
			fmt.Fprintf(&b, "| `%s` | | | as the answer of `/v1/realtime` with `site` |\n", name)
			continue
		}
		schema := d.Components.Schemas[ref[strings.LastIndexByte(ref, '/')+1:]]
		for i, f := range fieldsOf(schema, "") {
			event := ""
			if i == 0 {
				event = "`" + name + "`"
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", event, f.name, typeOf(f.schema)+f.maybe(), cell(f.meaning()))
		}
	}
	return b.String()
}

// refusals are what an operation answers beside 200 and beside what all of them may answer.
func (d document) refusals(o operation) string {
	var b strings.Builder
	for _, status := range sorted(o.Responses.Map()) {
		if response := o.Responses.Value(status); response.Ref == "" && status != "200" {
			fmt.Fprintf(&b, "| %s | %s |\n", status, cell(*response.Value.Description))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "| status | code and cause |\n|---|---|\n" + b.String()
}

// codes is a table of all codes by status. Its statuses are those of docs/errors.md, which is made of the source.
func (d document) codes(t *testing.T) string {
	schema := d.Components.Schemas["Code"].Value
	meanings, _ := schema.Extensions["x-meanings"].(map[string]any)
	var b strings.Builder
	b.WriteString("| code | status | cause |\n|---|---|---|\n")
	for _, code := range schema.Enum {
		meaning, _ := meanings[code.(string)].(string)
		if meaning == "" {
			t.Errorf("x-meanings of Code in openapi.yaml does not have %s", code)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", code, strings.Join(statusesOf(t, code.(string)), ", "), cell(meaning))
	}
	if len(meanings) != len(schema.Enum) {
		t.Errorf("x-meanings of Code in openapi.yaml has %d entries for %d codes", len(meanings), len(schema.Enum))
	}
	return b.String()
}

// statusesOf returns the statuses that a code has in the tables of docs/errors.md.
func statusesOf(t *testing.T, code string) (all []string) {
	page, err := os.ReadFile(filepath.Join(docs(t), "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, answers, _ := strings.Cut(string(page), "<!-- generated: answers -->")
	answers, verdicts, _ := strings.Cut(answers, "<!-- generated: verdicts -->")
	verdicts, _, _ = strings.Cut(verdicts, "<!-- end -->")
	for line := range strings.Lines(answers) {
		if cells := strings.Split(line, " | "); len(cells) > 2 && cells[1] == "`"+code+"`" {
			all = append(all, strings.TrimPrefix(cells[0], "| "))
		}
	}
	if strings.Contains(verdicts, "\n| `"+code+"` |") {
		all = append(all, "422", "verdict")
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		t.Errorf("docs/errors.md has no answer with the code %s of openapi.yaml", code)
	}
	return all
}
