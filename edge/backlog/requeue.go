package backlog

import (
	"context"
	"fmt"

	"slices"
	"sunspool/edge/spool"
	"sunspool/health"
)

// RequeueConfig is the command line of `sunspool spool requeue`.
type RequeueConfig struct {
	Files
	Refused
	JSON bool `name:"json" help:"One JSON document."`
}

// Refused are samples of the quarantine.
type Refused struct {
	Span
	All     bool     `name:"all" help:"All of them."`
	Codes   []string `name:"code" sep:"," placeholder:"CODE,..." help:"Those that were refused with these codes, as spool quarantine lists them."`
	Numbers []uint64 `name:"number" sep:"," placeholder:"N,..." help:"Those with these numbers."`
}

// chosen reads which are meant. Without any flag none are.
func (r Refused) chosen(command string) (c spool.Choice, err error) {
	if c, err = r.choice(); err != nil {
		return c, err
	}
	c.Codes, c.Numbers = r.Codes, slices.Sorted(slices.Values(r.Numbers))
	if narrowed := c.Codes != nil || c.Numbers != nil || !c.From.IsZero() || !c.To.IsZero(); narrowed == r.All {
		f := usage("which samples of the quarantine are meant is not clear", "sunspool spool "+command+" --all   # or --code, --number, --from and --to")
		return c, f
	}
	return c, nil
}

func (c Command) requeue(ctx context.Context, config RequeueConfig) error {
	choice, err := config.chosen("requeue")
	if err != nil {
		return err
	}
	type requeued struct {
		Path     string `json:"path"`
		Requeued int    `json:"requeued"`
	}
	all, total := []requeued{}, 0
	for _, path := range config.all() {
		if err := notAside(path, "requeue"); err != nil {
			return err
		}
		s, err := config.open(ctx, path, "requeue")
		if err != nil {
			return err
		}
		n, err := 0, wholeFor(s.Damage())
		if err == nil {
			n, err = s.Requeue(ctx, choice)
		}
		s.Close()
		if err != nil {
			return err
		}
		all, total = append(all, requeued{path, n}), total+n
		if !config.JSON {
			fmt.Fprintf(c.Out, "%s: %s of the quarantine wait to be sent again\n", path, samples(n))
		}
	}
	if config.JSON {
		return c.answer(map[string]any{"requeued": total, "spools": all})
	}
	return nil
}

// wholeFor refuses a change of a damaged file.
func wholeFor(damage string, _ int) error {
	if damage == "" {
		return nil
	}
	return &health.Fault{Code: "spool_damaged", What: "the spool is damaged", Why: damage, Next: "start the edge: it salvages what can be read, and sets the damaged file aside"}
}
