package api

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

const schemaRef = "#/components/schemas/"

// named is the schema that ref names where the document's own rules do not look for one.
func (c *comparer) named(ref string) *openapi3.SchemaRef {
	return &openapi3.SchemaRef{Ref: ref, Value: c.document.Components.Schemas[strings.TrimPrefix(ref, schemaRef)].Value}
}

// place is where a schema is: an object that has a name is the same wherever it is.
func place(schema *openapi3.SchemaRef, path string) string {
	if schema.Ref != "" && schema.Value.Type.Is("object") {
		return strings.TrimPrefix(schema.Ref, schemaRef)
	}
	return path
}

// note remembers which places of a schema v fills, and where it has null.
func (c *comparer) note(schema *openapi3.SchemaRef, v any, path string) {
	path = place(schema, path)
	if v == nil {
		c.null[path] = true
		return
	}
	c.filled[path] = true
	if schema.Ref == schemaRef+"Code" {
		c.codes[v] = true
	}
	for _, part := range schema.Value.AllOf {
		c.note(part, v, path)
	}
	for _, choice := range schema.Value.OneOf {
		if choice.Value.VisitJSON(v) == nil {
			c.note(choice, v, path)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if schema.Value.Properties[name] != nil {
				c.note(schema.Value.Properties[name], member, path+"."+name)
			}
		}
	case []any:
		for _, element := range v {
			if schema.Value.Items != nil {
				c.note(schema.Value.Items, element, path+"[]")
			}
		}
	}
}

// everythingCame reports what the document has and no exchange showed.
func (c *comparer) everythingCame(t *testing.T) {
	visited := map[string]bool{}
	examples := func(where string, content openapi3.Content) {
		for _, media := range content {
			for name, example := range media.Examples {
				if !c.shown[example.Value] {
					t.Errorf("%s: the example %q is nobody's answer", where, name)
				}
			}
		}
	}
	for path, item := range c.document.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody != nil {
				examples(method+" "+path, operation.RequestBody.Value.Content)
			}
			for status, response := range operation.Responses.Map() {
				where := method + " " + path + " " + status
				if code, err := strconv.Atoi(status); err != nil || !slices.Contains(c.answers[operation], code) {
					t.Errorf("%s never came", where)
				}
				examples(where, response.Value.Content)
				if media := response.Value.Content["application/json"]; media != nil {
					c.came(t, media.Schema, "", visited)
				}
				if media := response.Value.Content["text/event-stream"]; media != nil {
					for _, ref := range media.Extensions["x-events"].(map[string]any) {
						c.came(t, c.named(ref.(string)), "", visited)
					}
				}
			}
		}
	}
	for _, code := range c.document.Components.Schemas["Code"].Value.Enum {
		if !c.codes[code] {
			t.Errorf("the code %v never came", code)
		}
	}
}

// came reports which places of a schema were never filled or never null, and objects that are not closed.
func (c *comparer) came(t *testing.T, schema *openapi3.SchemaRef, path string, visited map[string]bool) {
	if path = place(schema, path); visited[path] && path != "" {
		return
	}
	visited[path] = true
	s := schema.Value
	if !c.filled[path] {
		t.Errorf("%s never came", path)
	}
	if s.Nullable && !c.null[path] {
		t.Errorf("%s was never null", path)
	}
	if s.Type.Is("object") && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		t.Errorf("%s is not closed: fields that it does not have would go unnoticed", path)
	}
	for _, part := range slices.Concat(s.AllOf, s.OneOf) {
		c.came(t, part, path, map[string]bool{})
	}
	for name, member := range s.Properties {
		c.came(t, member, path+"."+name, visited)
	}
	if s.Items != nil {
		c.came(t, s.Items, path+"[]", visited)
	}
}
