package reference

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// field is a member of an object at any depth.
type field struct {
	name     string // such as devices[].chain[].hop
	schema   *openapi3.SchemaRef
	required bool
	names    []string // of its own members, if those have no meaning of their own
}

// fieldsOf lists the members of an object in the order of `required`, then by name. Objects whose members are described are
// followed by these; columns, of which most have a name alone, are listed.
func fieldsOf(object *openapi3.SchemaRef, prefix string) (all []field) {
	s := object.Value
	names := slices.Clone(s.Required)
	for _, name := range sorted(s.Properties) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		f := field{name: prefix + name, schema: s.Properties[name], required: slices.Contains(s.Required, name)}
		inner, below := f.schema, f.name+"."
		for inner.Value.Type.Is("array") && inner.Value.Items != nil {
			inner, below = inner.Value.Items, strings.TrimSuffix(below, ".")+"[]."
		}
		members := inner.Value.Properties
		if len(members) == 0 {
			all = append(all, f)
			continue
		}
		described := 0
		for _, m := range members {
			if m.Value.Description != "" && m.Ref == "" {
				described++
			}
		}
		if 2*described < len(members) || f.name == "compare" {
			f.names = slices.Clone(inner.Value.Required)
			for _, name := range sorted(members) {
				if !slices.Contains(f.names, name) {
					f.names = append(f.names, name)
				}
			}
			all = append(all, f)
			continue
		}
		all = append(append(all, f), fieldsOf(inner, below)...)
	}
	return all
}

func (f field) meaning() string {
	meaning := descriptionOf(f.schema)
	if f.names == nil {
		return meaning
	}
	list := "`" + strings.Join(f.names, "` `") + "`"
	if meaning == "" {
		return list
	}
	return strings.TrimSuffix(strings.TrimSpace(meaning), ".") + ": " + list
}

// descriptionOf is the description of a schema, or of what its list has.
func descriptionOf(ref *openapi3.SchemaRef) string {
	s := ref.Value
	if s.Description == "" && s.Items != nil {
		return descriptionOf(s.Items)
	}
	if s.Description == "" && len(s.AllOf) == 1 {
		return descriptionOf(s.AllOf[0])
	}
	return s.Description
}

func (f field) maybe() string {
	if f.required {
		return ""
	}
	return ", may be absent"
}

// typeOf names the type of a schema in words.
func typeOf(ref *openapi3.SchemaRef) string {
	s := ref.Value
	name := s.Title
	switch {
	case name != "":
	case len(s.AllOf) == 1:
		name = typeOf(s.AllOf[0])
	case len(s.OneOf) > 0:
		var all []string
		for _, one := range s.OneOf {
			all = append(all, typeOf(one))
		}
		name = strings.Join(all, " or ")
	case s.Type.Is("array"):
		name = "list of " + plural(typeOf(s.Items))
	case len(s.Enum) > 0:
		var all []string
		for _, v := range s.Enum {
			if v != nil {
				text, _ := json.Marshal(v)
				all = append(all, "`"+strings.Trim(string(text), `"`)+"`")
			}
		}
		name = strings.Join(all, " ")
	case s.Format == "date-time":
		name = "time"
	case s.Format == "date":
		name = "date"
	case s.Type.Is("string"):
		name = "text"
		if s.MaxLength != nil {
			name += fmt.Sprintf(" of at most %d bytes", *s.MaxLength)
		}
	case s.Type != nil:
		name = (*s.Type)[0] + bounds(s)
	}
	if s.Nullable {
		name += " or null"
	}
	return cell(name)
}

// bounds are the limits of a number, where both are given.
func bounds(s *openapi3.Schema) string {
	if s.Min == nil || s.Max == nil || *s.Max > 1e9 {
		return ""
	}
	return fmt.Sprintf(", %v to %v", *s.Min, *s.Max)
}

func plural(name string) string {
	for _, one := range []string{"object", "number", "integer", "text", "list"} {
		if rest, ok := strings.CutPrefix(name, one); ok {
			return one + "s" + rest
		}
	}
	return name
}
