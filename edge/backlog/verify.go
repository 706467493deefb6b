package backlog

import (
	"context"
	"fmt"

	"sunspool/edge/delivered"
	"sunspool/edge/spool/inspect"
	"sunspool/health"
)

// VerifyConfig is the command line of `sunspool spool verify`.
type VerifyConfig struct {
	Files
	JSON bool `name:"json" help:"One JSON document."`
}

// Verdict is what was found in a file, or in a directory of copies.
type Verdict struct {
	Path        string `json:"path"`
	Kind        string `json:"kind"` // spool, delivered, or aside
	Open        bool   `json:"open"` // an edge has it open, and read it
	Whole       bool   `json:"whole"`
	Damage      string `json:"damage,omitempty"`
	Waiting     int    `json:"waiting"`     // samples that can be read
	Quarantined int    `json:"quarantined"` // of the quarantine
	Delivered   int    `json:"delivered"`   // copies
	Unreadable  int    `json:"unreadable"`  // samples that cannot, as far as that can be known
}

func (c Command) verify(ctx context.Context, config VerifyConfig) error {
	all, damaged, asideToo := []Verdict{}, 0, false
	for _, path := range config.all() {
		v, err := config.verdict(ctx, path)
		if err != nil {
			return err
		}
		if all = append(all, v); !v.Whole {
			damaged++
			asideToo = asideToo || v.Kind == "aside"
		}
		if dir := delivered.DirOf(path); exists(dir) {
			kept, err := delivered.Look(dir)
			if err != nil {
				return &health.Fault{Code: "spool_unreadable", What: "the copies in " + dir + " cannot be read", Err: err, Next: "ask as root, or as the user of the edge"}
			}
			v := Verdict{Path: dir, Kind: "delivered", Whole: kept.Damaged == 0, Delivered: kept.Samples}
			if !v.Whole {
				v.Damage = fmt.Sprintf("%d bytes are of no whole frame, which readers skip", kept.Damaged)
			}
			all = append(all, v)
		}
	}
	if config.JSON {
		if err := c.answer(map[string]any{"whole": damaged == 0, "files": all}); err != nil {
			return err
		}
	} else {
		for _, v := range all {
			fmt.Fprintln(c.Out, v)
		}
	}
	if damaged == 0 {
		return nil
	}
	f := &health.Fault{Code: "spool_damaged", What: fmt.Sprintf("%d of the files are damaged", damaged), Next: "restart the edge: it salvages what can be read, and sets the damaged file aside"}
	if asideToo {
		f.Next = "sunspool spool export FILE -o OUT   # writes what can be read of a file that was set aside"
	}
	return f
}

// verdict reads the spool at path from its beginning to its end.
func (f Files) verdict(ctx context.Context, path string) (v Verdict, err error) {
	v = Verdict{Path: path, Kind: "spool"}
	if inspect.SetAside(path) != "" {
		v.Kind = "aside"
	}
	s, err := f.open(ctx, path, "verify")
	if err != nil {
		return v, err
	}
	defer s.Close()
	v.Open = s.Open
	if v.Damage, err = s.Verify(ctx); err != nil {
		return v, err
	}
	v.Whole = v.Damage == ""
	_, v.Unreadable = s.Damage()
	info, err := s.Info(ctx)
	v.Waiting, v.Quarantined = info.Waiting, info.Quarantined
	return v, err
}

func (v Verdict) String() string {
	text := v.Path + ": whole"
	if !v.Whole {
		text = v.Path + ": damaged: " + v.Damage
	}
	if v.Kind == "delivered" {
		return fmt.Sprintf("%s; %d copies can be read", text, v.Delivered)
	}
	text += fmt.Sprintf("; %d that wait and %d of the quarantine can be read", v.Waiting, v.Quarantined)
	if v.Unreadable > 0 {
		text += fmt.Sprintf(", %d cannot", v.Unreadable)
	}
	if v.Open {
		text += " (by the edge that has it open)"
	}
	return text
}
