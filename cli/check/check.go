// Package check is `sunspool check`: it looks at the settings of a service as the service would, and with --online also at what
// the settings lead to. It changes nothing.
package check

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"sunspool/edge"
	"sunspool/edge/config"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/settings"
	"sunspool/systemd"
	"sunspool/vps"
)

// Config is the command line of `sunspool check`.
type Config struct {
	Role    string `arg:"" enum:"edge,vps" help:"edge or vps."`
	Explain bool   `name:"explain" help:"Print what each setting has, and from where: the environment, the settings file of the package, or the default. Secrets are not shown."`
	Online  bool   `name:"online" help:"Also look at what the settings lead to: the server and the token, the inverter, the database, the disk. Nothing is stored or changed."`
	JSON    bool   `name:"json" help:"One JSON document."`
}

// Service is the service whose settings are looked at.
type Service struct {
	Settings *settings.Selection
	Err      error // what is wrong with its command line
	Edge     config.Config
	VPS      vps.Config
	Version  string
}

// found is the answer.
type found struct {
	Role     string               `json:"role"`
	Usable   bool                 `json:"usable"` // the settings
	Notes    []string             `json:"notes"`
	Settings []settings.Explained `json:"settings,omitempty"`
	Checks   []checklist.Check    `json:"checks,omitempty"`
}

// settingsFile is the file that the unit of a role reads.
func settingsFile(role string) string { return "/etc/sunspool/" + role + ".env" }

// Do looks, and prints what it found.
func (c Config) Do(ctx context.Context, s Service, out io.Writer, style checklist.Style) error {
	f, err := found{Role: c.Role, Notes: []string{}}, s.Err
	for _, m := range s.Settings.Line.Misspelt() {
		f.Notes = append(f.Notes, m.String())
	}
	if err == nil && c.Role == "vps" {
		err = s.VPS.Validate()
	}
	if err == nil && c.Role == "edge" {
		if route := s.Edge.Route(); route != "" {
			f.Notes = append(f.Notes, route)
		}
	}
	f.Usable = err == nil
	if c.Explain {
		f.Settings = explained(s.Settings, settingsFile(c.Role))
	}
	if !c.JSON {
		c.print(out, f)
	}
	if c.Online && err == nil {
		f.Checks = c.online(ctx, s)
		if !c.JSON {
			p := checklist.Printer{Style: style, Out: out}
			for _, check := range f.Checks {
				p.Print(check)
			}
		}
		err = verdict(f.Checks)
	}
	if c.JSON {
		if wrong := json.NewEncoder(out).Encode(f); wrong != nil {
			return wrong
		}
	}
	return err
}

func (c Config) print(out io.Writer, f found) {
	for _, note := range f.Notes {
		fmt.Fprintln(out, "note:", note)
	}
	if f.Settings != nil {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, e := range f.Settings {
			value := e.Value
			if value == "" {
				value = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", e.Env, value, e.From)
		}
		w.Flush()
	}
	if f.Usable {
		fmt.Fprintf(out, "the settings of the %s can be used\n", f.Role)
	}
}

// explained is where the settings come from. Those of the environment that the package's file has, too, are that file's.
func explained(sel *settings.Selection, file string) []settings.Explained {
	all := sel.Line.Explain(sel.Command)
	inFile, _ := systemd.ReadSettings(file) // without it, nothing is of the file
	for i := range all {
		if all[i].Same(inFile) {
			all[i].From = file
		}
	}
	return all
}

func (c Config) online(ctx context.Context, s Service) []checklist.Check {
	if c.Role == "vps" {
		return vps.Reach(ctx, s.VPS)
	}
	return edge.Reach(ctx, s.Edge, s.Version)
}

// verdict is the first of what failed, with the exit status of that.
func verdict(checks []checklist.Check) error {
	for _, check := range checks {
		if check.State == checklist.Fail {
			return &health.Fault{Code: "unhealthy", Exit: health.ExitUnhealthy, What: check.Area + ": " + check.What, Next: check.Next}
		}
	}
	return nil
}
