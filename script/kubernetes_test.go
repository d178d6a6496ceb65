//go:build unix

package script_test

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	cozetoken "coze-token"
	"coze-token/sandbox"
)

// A deployment is what the test looks at of one.
type deployment struct {
	Kind string
	Data map[string]string // of a ConfigMap
	Spec struct {
		Template struct {
			Spec struct {
				TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
				Containers                    []struct {
					Env   []struct{ Name, Value string }
					Ports []struct {
						Name          string
						ContainerPort int `yaml:"containerPort"`
					}
					LivenessProbe  probe `yaml:"livenessProbe"`
					ReadinessProbe probe `yaml:"readinessProbe"`
				}
			}
		}
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// The manifests are built by kustomize, and what they set are settings that the service takes.
func TestKubernetes(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("there is no kubectl on PATH")
	}
	built := output(t, "..", nil, kubectl, "kustomize", "deploy/kubernetes")
	env := map[string]string{}
	kinds := map[string]bool{}
	var found deployment
	for document := range strings.SplitSeq(built, "\n---\n") {
		var d deployment
		if err := yaml.Unmarshal([]byte(document), &d); err != nil {
			t.Fatal(err)
		}
		kinds[d.Kind] = true
		switch d.Kind {
		case "ConfigMap":
			for name, value := range d.Data {
				env[name] = value
			}
		case "Deployment":
			found = d
		}
	}
	for _, kind := range []string{"ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"} {
		if !kinds[kind] {
			t.Errorf("there is no %s", kind)
		}
	}
	pod := found.Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	container := pod.Containers[0]
	for _, v := range container.Env {
		env[v.Name] = v.Value
	}

	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	coze := sb.Settings("http://127.0.0.1:1")
	env["CLIENT_ID"], env["KID"] = coze["CLIENT_ID"], coze["KID"]
	files := map[string]string{
		"/etc/coze-token/private_key.pem": coze["PRIVATE_KEY"],
		"/etc/coze-token/api_keys":        "backend=sha256:" + strings.Repeat("0", 64),
	}
	settings, warnings, err := cozetoken.Read(env, cozetoken.Options{ReadFile: func(name string) ([]byte, error) {
		return []byte(files[name]), nil
	}})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("the service does not take what is set: %v, %v", err, warnings)
	}
	ports := map[string]string{}
	for _, p := range container.Ports {
		ports[p.Name] = ":" + strconv.Itoa(p.ContainerPort)
	}
	if ports["http"] != settings.Native.Listen || ports["metrics"] != settings.Native.MetricsListen {
		t.Errorf("the ports are %v, and it listens on %s and %s", ports, settings.Native.Listen,
			settings.Native.MetricsListen)
	}
	if least := settings.Native.DrainDelay.Seconds() + 25; float64(pod.TerminationGracePeriodSeconds) <= least {
		t.Errorf("it is killed after %d s, and may take %v", pod.TerminationGracePeriodSeconds, least)
	}
	for probe, want := range map[string]string{
		container.LivenessProbe.HTTPGet.Path: "/healthz", container.ReadinessProbe.HTTPGet.Path: "/readyz",
	} {
		if probe != want {
			t.Errorf("%q is asked, not %s", probe, want)
		}
	}
}
