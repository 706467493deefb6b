package doctor

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"sunspool/health"
	"sunspool/systemd"
)

// config looks at the settings as each service would when it starts.
func (e *examination) config(context.Context) (all []Check) {
	for _, s := range e.services {
		where := s.where()
		if s.denied {
			all = append(all, denied(areaConfig, "the settings in "+where+" are for root alone"))
			continue
		}
		if s.err != nil {
			all = append(all, wrongSettings(s))
		}
		for _, m := range s.misspelt {
			f := &health.Fault{Code: "setting_unknown", What: where + ": " + m.String(), Why: "nothing reads it", Next: "sunspool env " + s.role + "   # every setting with its default and meaning"}
			all = append(all, warn(areaConfig, f))
		}
		if s.err == nil && s.misspelt == nil {
			all = append(all, pass(areaConfig, "the settings of the %s in %s can be used", s.role, where))
		}
	}
	return all
}

// wrongSettings is the fault of settings that cannot be used.
func wrongSettings(s *service) Check {
	f, ok := errors.AsType[*health.Fault](s.err)
	if !ok {
		f = &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: "the settings of the " + s.role + " cannot be used", Err: s.err, Next: "sunspool env " + s.role + "   # every setting with its default and meaning"}
	}
	c := fail(areaConfig, f)
	c.What, c.exit = s.where()+": "+c.What, health.ExitConfig
	c.Why = strings.ReplaceAll(c.Why, "\n", "; ")
	return c
}

// where names the settings of a service.
func (s *service) where() string {
	if s.file == "" {
		return "the environment"
	}
	others := slices.DeleteFunc(slices.Clone(s.files), func(file string) bool { return file == s.file })
	if len(others) < len(s.files) {
		return settingsDir + "/" + filepath.Base(s.file) + and(others)
	}
	return strings.TrimPrefix(and(others), " and ")
}

// and names further files.
func and(files []string) (text string) {
	for _, file := range files {
		text += " and " + file
	}
	return text
}

// fileOf is the file which has the last word about a setting.
func (s *service) fileOf(setting string) string {
	for _, file := range slices.Backward(s.files) {
		set, _ := systemd.ReadSettings(file) // of one that cannot be read nothing is known
		if _, ok := set[setting]; ok {
			return file
		}
	}
	return s.file
}

// usable are the inverters whose settings are known and can be used; a check says why others are left out.
func (e *examination) usable(area string) (edges []*edge, left []Check) {
	for _, s := range e.services {
		switch {
		case s.role != roleEdge:
		case s.denied:
			left = append(left, denied(area, "the settings in "+s.where()+" are for root alone"))
		case s.err != nil && len(s.edges) == 0, s.err != nil && area == areaUpload:
			left = append(left, skip(area, "the settings in "+s.where()+" cannot be used", ""))
		default:
			edges = append(edges, s.edges...)
		}
	}
	return edges, left
}
