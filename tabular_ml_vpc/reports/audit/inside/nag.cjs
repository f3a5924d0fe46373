// Runs cdk-nag's packs over plain templates, in the environment of the checkers from npm.
//
//   NODE_PATH=.venv-node/node_modules .venv-node/node nag.cjs TEMPLATE...
//
// Prints {rules: {pack: number}, findings: [{template, set, rule, resource, message}]}: `template` is
// the position in the list, `set` is a pack, `resource` is a logical id. A rule with several findings in
// one resource distinguishes them in brackets; these are dropped, because exemptions name resources.
'use strict';

const { App, Stack } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const nag = require('cdk-nag');

const PACKS = {
  'nag-solutions': nag.AwsSolutionsChecks,
  'nag-nist': nag.NIST80053R5Checks,
  'nag-pci': nag.PCIDSS321Checks,
  'nag-hipaa': nag.HIPAASecurityChecks,
};

function main(templates) {
  const rules = {};
  const findings = [];
  for (const [template, templateFile] of templates.entries()) {
    const stack = new Stack(new App(), 'Whole');
    new CfnInclude(stack, 'Template', { templateFile });
    for (const [set, Checks] of Object.entries(PACKS)) {
      const checks = new Checks();
      const applied = countRules(checks);
      const found = checks.validateScope(stack).violations.flatMap(asFindings);
      findings.push(...found.map((finding) => ({ template, set, ...finding })));
      rules[set] = applied.size;
    }
  }
  process.stdout.write(JSON.stringify({ rules, findings }));
}

// A pack has no list of its rules; it applies all of them to every resource.
function countRules(checks) {
  const applied = new Set();
  const apply = checks.applyRule;
  checks.applyRule = function (rule) {
    applied.add(rule.ruleSuffixOverride ?? rule.rule.name);
    return apply.call(this, rule);
  };
  return applied;
}

function asFindings(violation) {
  const rule = violation.ruleName.replace(/\[.*/s, '').replace(/^.*?-/, '');
  return violation.violatingResources.map((resource) => ({
    rule,
    resource: resource.constructPath.split('/').pop(),
    message: violation.description,
  }));
}

main(process.argv.slice(2));
